"""Reports that are made once, and taken again where they would be the same."""

import pathlib
from collections.abc import Callable

from mc_keras.connectors import Connector
from mc_keras.evaluation import PathReport
from mc_keras.progress import ProgressBar
from mc_keras.reproduction.published import ENDS
from mc_keras.reproduction.result import SPLITS, seconds_of, worst_of
from mc_keras.reproduction.rows import exists
from mc_keras.workspace import Workspace


class KeptReports:
    """Reports on the paths of one pair, kept in a folder.

    Args:
        folder: Where the reports are.
        workspace: Makes and measures paths.
        connector_of: Gives the connector of a row.
        num_points: Positions at which a path is measured, besides its knots.
        bar: Is told which row is worked on, and what comes of it.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        workspace: Workspace,
        connector_of: Callable[[str], Connector],
        num_points: int,
        bar: ProgressBar,
    ):
        self._folder = folder
        self._workspace = workspace
        self._connector_of = connector_of
        self._num_points = num_points
        self._bar = bar
        self._measured_on = workspace.measured_on

    def others(self, wanted: list[str]) -> list[str]:
        """Rows of earlier runs."""
        found = sorted(file.stem for file in self._folder.glob("*.json"))
        return [row for row in found if exists(row) and row not in wanted]

    def load(self, row: str) -> PathReport | None:
        """The report of an earlier run, if it would be the same now."""
        try:
            report = PathReport.load(self._file(row))
        except (OSError, ValueError):
            return None
        provenance = report.metadata["provenance"]
        same = (
            self._workspace.made_by(self._connector_of(row), provenance)
            and report.metadata["evaluation"]["data"] == self._measured_on
            and report.metadata.get("num_points") == self._points(row)
        )
        return report if same else None

    def get(self, row: str) -> PathReport:
        """The report of an earlier run, or a new one: what it says is told as soon as it is there.

        A path whose search was killed is gone on with.
        """
        name = f"{row} ({self._folder.name})"
        self._bar.doing(name)
        report = self.load(row)
        if report is None:
            report = self._make(row)
            worst = ", ".join(f"{split} {worst_of(report, split):.2f} %" for split in SPLITS)
            self._bar.say(f"{name}: worst accuracy {worst}, {seconds_of(report):.0f} s")
        self._bar.add(1)
        return report

    def _make(self, row: str) -> PathReport:
        path = self._workspace.path(row, self._connector_of(row))
        report = self._workspace.measure(row, path, self._points(row))
        report.metadata["num_points"] = self._points(row)
        report.save(self._file(row))
        return report

    def _points(self, row: str) -> int:
        return 2 if row == ENDS else self._num_points

    def _file(self, row: str) -> pathlib.Path:
        return self._folder / f"{row}.json"
