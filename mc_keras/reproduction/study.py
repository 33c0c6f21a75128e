"""The supplement's questions of Anokhin and Yarotsky, 2020: methods against width and depth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mc_keras.reproduction.published import ENDS, OURS, Figure, Row, Table
from mc_keras.reproduction.result import Reproduction

METHODS = ("linear", "arc", "ot", "linear+wa", "ot+wa", OURS)


class Study(NamedTuple):
    """How the methods fare as fully connected networks grow in one way.

    Attributes:
        name: Of what grows.
        title: Which networks.
        unit: What a size is a number of.
        sizes: The default ones.
        units: Of each hidden layer, where a size is the number of these layers; `None` where a size
            is the number of units of a single one.
        dataset: Name of the data.
    """

    name: str
    title: str
    unit: str
    sizes: tuple[int, ...]
    units: int | None = None
    dataset: str = "digits"

    @property
    def folder(self) -> str:
        """Name of its default folder."""
        return f"{self.name}_{self.dataset}"

    def hidden(self, size: int) -> tuple[int, ...]:
        """Units of the hidden layers of a network of this size.

        Example:
        >>> STUDIES["width"].hidden(500), STUDIES["depth"].hidden(2)
        ((500,), (250, 250))
        """
        return (size,) if self.units is None else (self.units,) * size

    def table(self, size: int, rows: Iterable[str]) -> Table:
        """The table of one size, without published numbers.

        Args:
            size: The size.
            rows: Names of its methods.
        """
        return Table(
            f"{self.name}_{size}",
            f"{self.title}, {self.dataset}: {size} {self.unit}",
            self.folder,
            tuple(Row(row, row) for row in (*rows, ENDS)),
        )


STUDIES = {
    study.name: study
    for study in (
        Study("width", "Width: one hidden layer", "hidden units", (250, 500, 1000, 2000, 4000)),
        Study("depth", "Depth: hidden layers of 250 units", "hidden layers", (1, 2, 3, 4, 5), 250),
    )
}


@dataclass(frozen=True)
class StudyResult:
    """What was measured for a study.

    Attributes:
        study: What was asked.
        results: Size to what was measured there, from small to large.
    """

    study: Study
    results: Mapping[int, Reproduction]

    @property
    def rows(self) -> list[str]:
        """Names of the rows that some size has, the ends last."""
        rows = dict.fromkeys(row for result in self.results.values() for row in result.rows)
        return [row for row in rows if row != ENDS] + [ENDS]

    @property
    def commands(self) -> list[str]:
        """Commands that the sizes were made by, each once."""
        of_each = (result.commands for result in self.results.values())
        return list(dict.fromkeys(command for commands in of_each for command in commands))

    def figure(self, row: str, size: int, split: str) -> Figure | None:
        """Worst accuracy, per cent, over the pairs of a size; `None` if it has no such row."""
        result = self.results[size]
        return result.figure(row, split) if row in result.rows else None

    def gap(self, row: str, size: int, split: str) -> float | None:
        """Percentage points below the mean accuracy of the ends; `None` if there is no such row."""
        result = self.results[size]
        return result.gap(row, split) if row in result.rows else None
