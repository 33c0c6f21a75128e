"""Reports that are made once, and taken again where they would be the same."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mc_keras.connectors import Connector
from mc_keras.evaluation import PathReport
from mc_keras.locks import LOCK, locked
from mc_keras.progress import ProgressBar
from mc_keras.reproduction.published import ENDS
from mc_keras.reproduction.result import SPLITS, seconds_of, worst_of
from mc_keras.reproduction.rows import exists
from mc_keras.workspace import Workspace

_ACCURACIES = [f"{split}_accuracy" for split in SPLITS]
_LOSSES = [f"{split}_loss" for split in SPLITS]


class KeptReports:
    """Reports on the paths of one pair, kept in a folder.

    Args:
        folder: Where the reports are.
        workspace: Makes and measures paths.
        connector_of: Gives the connector of a row.
        num_points: Positions at which a path is measured, besides its knots.
        command: What the reports that are made here say they were made by.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        workspace: Workspace,
        connector_of: Callable[[str], Connector],
        num_points: int,
        command: str | None = None,
    ):
        self._folder = folder
        self._workspace = workspace
        self._connector_of = connector_of
        self._num_points = num_points
        self._command = command
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
        return report if self._is_of(row, report) else None

    def get(self, row: str, bar: ProgressBar, *, keep_path: bool = False) -> PathReport:
        """The report of an earlier run, or a new one.

        A path whose search was killed is gone on with. Of two processes that want the same report
        one makes it, the other waits and takes it.

        Args:
            row: Name of the row.
            bar: Is told that the row is worked on, and what is measured as soon as it is.
            keep_path: Whether the file of the path is to be there. One that is kept stays where a
                later call takes the report and does not ask for it.
        """
        bar.doing(f"{row} ({self._folder.name})")
        report = self._load(row, keep_path=keep_path)
        if report is None or self._workspace.remembers(row, keep_path=True):
            with locked(self._folder / f".{row}{LOCK}", f"makes {row} of {self._folder.name}"):
                report = self._load(row, keep_path=keep_path)
                loaded = report is not None
                if report is None:
                    report = self._make(row, bar)
                self._workspace.forget(row, keep_path=keep_path or loaded)
        bar.add(1)
        return report

    def _load(self, row: str, *, keep_path: bool) -> PathReport | None:
        """See `load`; nothing if the file of the path is wanted and not there."""
        if keep_path and not self._workspace.path_file(row).exists():
            return None
        return self.load(row)

    def _make(self, row: str, bar: ProgressBar) -> PathReport:
        path = self._workspace.path(row, self._connector_of(row))
        report = self._workspace.measure(row, path, self._points(row))
        report.metadata["num_points"] = self._points(row)
        if self._command is not None:
            report.metadata["command"] = self._command
        report.save(self._file(row))
        worst = ", ".join(f"{split} {worst_of(report, split):.2f} %" for split in SPLITS)
        bar.say(f"{row} ({self._folder.name}): worst accuracy {worst}, {seconds_of(report):.0f} s")
        return report

    def _is_of(self, row: str, report: PathReport) -> bool:
        """Whether a report is what would be made now, with all that is read from it later."""
        metadata = report.metadata
        provenance = _mapping(metadata, "provenance")
        return (
            self._workspace.made_by(self._connector_of(row), provenance)
            and _mapping(metadata, "evaluation").get("data") == self._measured_on
            and metadata.get("num_points") == self._points(row)
            and all(isinstance(m.get("seconds"), float | int) for m in (metadata, provenance))
            and isinstance(metadata.get("command", ""), str)
            and set(SPLITS) <= set(_mapping(metadata, "examples"))
            and set(report.names) >= {*_ACCURACIES, *_LOSSES}
            and all(np.isfinite(v).all() for v in (report.t, *map(report.__getitem__, _ACCURACIES)))
        )

    def _points(self, row: str) -> int:
        return 2 if row == ENDS else self._num_points

    def _file(self, row: str) -> pathlib.Path:
        return self._folder / f"{row}.json"


def _mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What a record has there; nothing if that is of another kind, as in a damaged file."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}
