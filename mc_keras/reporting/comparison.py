"""Several paths between the same two models, measured: what tables, files and pages show."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mc_keras.evaluation.quantities import Quantity, loss_texts, quantity
from mc_keras.plotting.ranking import rank

if TYPE_CHECKING:
    from mc_keras.evaluation import PathReport, PlaneReport


class Column(NamedTuple):
    """One column of the comparison table.

    Attributes:
        headings: Group, part and title, from the top line to the bottom line.
        texts: Method to the text of its cell.
        best: Methods whose cell is the best of the column.
    """

    headings: tuple[str, str, str]
    texts: dict[str, str]
    best: frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """Paths by several methods between the same two models, measured on the same data.

    Attributes:
        title: Name of the pair of models.
        reports: Method to its report. All have the same quantities.
        seconds: Method to the seconds that finding the path took.
        provenance: JSON-able: models, data, versions, seed, command.
        explanations: Method to a sentence or two on how it works.
        planes: Method to the plane through the two ends and the bend of its path.
        files: Method to what holds its path, by a short name: `{"path": "paths/arc.path"}`,
            relative to the folder of the report.
    """

    title: str
    reports: "Mapping[str, PathReport]"
    seconds: Mapping[str, float]
    provenance: Mapping[str, Any]
    explanations: Mapping[str, str] = field(default_factory=dict)
    planes: "Mapping[str, PlaneReport]" = field(default_factory=dict)
    files: Mapping[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self):
        if not self.reports:
            raise ValueError("There is nothing to compare: expected at least one path report.")

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; the last is the one to judge by, such as `test`."""
        return next(iter(self.reports.values())).splits

    @property
    def names(self) -> list[str]:
        """Names of the quantities, those in per cent first: `["train_accuracy", ...]`."""
        names = next(iter(self.reports.values())).names
        return sorted(names, key=lambda name: not self.quantity(name).percent)

    def quantity(self, name: str) -> Quantity:
        """How a quantity is written."""
        return quantity(name, self.splits)

    @property
    def judged_by(self) -> list[str]:
        """Loss on the last split, and accuracy on it where there is one."""
        return [f"{self.splits[-1]}_loss", *self._accuracies(self.splits[-1])]

    @property
    def mapped(self) -> list[str]:
        """What is drawn on planes: loss on the first split, accuracy on the last."""
        return [f"{self.splits[0]}_loss", *self._accuracies(self.splits[-1])]

    def _accuracies(self, split: str) -> list[str]:
        """Name of the first quantity of a split that is in per cent; empty if there is none."""
        shown = {name: self.quantity(name) for name in self.names}
        return [n for n, q in shown.items() if q.split == split and q.percent][:1]

    @property
    def best(self) -> str:
        """Method whose path has the lowest worst loss on the training data.

        They are the split `"train"`, or the first where there is none of that name.

        Not on the test data: choosing by them would make the figures on them too good.
        """
        split = "train" if "train" in self.splits else self.splits[0]
        return rank(self.reports, f"{split}_loss")[0]

    def columns(self) -> list[Column]:
        """The table: worst and mean values, barrier, length and seconds."""
        loss = self.quantity(self.judged_by[0])
        barriers = {m: report.barrier(self.judged_by[0]) for m, report in self.reports.items()}
        ratios = {m: report.relative_length for m, report in self.reports.items()}
        seconds = {method: self.seconds[method] for method in self.reports}
        return [
            *(self._measured(name, title) for name in self.names for title in ("worst", "mean")),
            _column(("barrier", loss.split, loss.metric), barriers, loss_texts, best=min),
            _column(("length", "against", "line"), ratios, _decimals(2)),
            _column(("time", "to find", "(s)"), seconds, _decimals(1)),
        ]

    def _measured(self, name: str, title: str) -> Column:
        """Worst or mean values of a quantity."""
        shown = self.quantity(name)
        values = {
            method: getattr(report, title)(name) * shown.factor
            for method, report in self.reports.items()
        }
        group = shown.metric + (f" ({shown.unit})" if shown.unit else "")
        lower_is_better = next(iter(self.reports.values())).lower_is_better(name)
        return _column(
            (group, shown.split, title),
            values,
            _decimals(1) if shown.percent else loss_texts,
            best=min if lower_is_better else max,
        )


def _column(
    headings: tuple[str, str, str],
    values: Mapping[str, float],
    written: Callable[[Iterable[float]], list[str]],
    best: Callable[..., float] | None = None,
) -> Column:
    """Cells of texts; those that show the best value are the best, if any can be."""
    texts = dict(zip(values, written(values.values()), strict=True))
    finite = [float(text) for text in texts.values() if np.isfinite(float(text))]
    if best is None or not finite:
        return Column(headings, texts, frozenset())
    target = best(finite)
    return Column(headings, texts, frozenset(m for m, t in texts.items() if float(t) == target))


def _decimals(count: int) -> Callable[[Iterable[float]], list[str]]:
    return lambda values: [f"{value:.{count}f}" for value in values]
