"""What was measured for a table, and what follows: means, standard deviations, gaps to the ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mc_keras.reproduction.published import ENDS, Figure, Table

if TYPE_CHECKING:
    from mc_keras.evaluation import PathReport

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Reproduction:
    """The rows of a table that were measured, on one or several pairs of networks.

    Attributes:
        table: The published table.
        reports: Row to pair to the report on its path. `"ends"` is among the rows.
        provenance: JSON-able: pairs, data, versions, seed, settings, command.
    """

    table: Table
    reports: "Mapping[str, Mapping[str, PathReport]]"
    provenance: Mapping[str, Any]

    @property
    def rows(self) -> list[str]:
        """Names of the measured rows: those of the table in its order, others, the ends."""
        known = [row.name for row in self.table.rows if row.name in self.reports]
        others = [name for name in self.reports if name not in known]
        return [name for name in [*known, *others] if name != ENDS] + [ENDS]

    @property
    def pairs(self) -> list[str]:
        """Names of the pairs."""
        return list(self.reports[ENDS])

    def worst(self, row: str, split: str) -> np.ndarray:
        """Worst accuracy along the path of each pair, in per cent.

        For the end points: the accuracy of each network, each counted once.
        """
        if row != ENDS:
            return np.array([worst_of(report, split) for report in self.reports[row].values()])
        networks = {}
        for report in self.reports[ENDS].values():
            for i, end in ((0, "start"), (-1, "end")):
                made_of = report.metadata["provenance"][end]["sha256"]
                networks[made_of] = 100 * float(report[f"{split}_accuracy"][i])
        return np.array(list(networks.values()))

    def figure(self, row: str, split: str) -> Figure:
        """Mean and standard deviation (with n - 1) of the worst accuracies; none of one pair."""
        values = self.worst(row, split)
        return Figure(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)

    def published(self, row: str, split: str) -> Figure | None:
        """The paper's number, if it has one."""
        return getattr(self.table.row(row), split)

    def gap(self, row: str, split: str) -> float:
        """How many percentage points the row is below the end points, in the mean."""
        return self.figure(ENDS, split).mean - self.figure(row, split).mean

    def published_gap(self, row: str, split: str) -> float | None:
        """The same of the paper's numbers, if it has both."""
        figure, ends = self.published(row, split), self.published(ENDS, split)
        return None if figure is None or ends is None else ends.mean - figure.mean

    def seconds(self, row: str) -> float:
        """Seconds that finding and measuring a path took, in the mean over the pairs."""
        return float(np.mean([seconds_of(report) for report in self.reports[row].values()]))

    def connector(self, row: str) -> dict[str, Any]:
        """Configuration of the connector that made the paths of a row."""
        return next(iter(self.reports[row].values())).metadata["provenance"]["connector"]

    def orders(self, split: str) -> tuple[list[str], list[str]]:
        """Rows from good to bad by what was measured here, and the same rows by the paper's."""
        rows = [r for r in self.rows if r != ENDS and self.published(r, split) is not None]
        published = {row: figure.mean for row in rows if (figure := self.published(row, split))}
        here = sorted(rows, key=lambda row: -self.figure(row, split).mean)
        return here, sorted(rows, key=lambda row: -published[row])

    @property
    def commands(self) -> list[str]:
        """Commands that the rows were made by, each once, in the order of the rows.

        The last command stands for the reports of earlier versions, which tell none.
        """
        last = self.provenance.get("command")
        told = (
            report.metadata.get("command", last)
            for row in self.rows
            for report in self.reports[row].values()
        )
        return [command for command in dict.fromkeys(told) if command is not None]


def worst_of(report: "PathReport", split: str) -> float:
    """Worst accuracy along a path, in per cent."""
    return 100 * report.worst(f"{split}_accuracy")


def seconds_of(report: "PathReport") -> float:
    """Seconds that finding and measuring a path took."""
    return report.metadata["provenance"]["seconds"] + report.metadata["seconds"]
