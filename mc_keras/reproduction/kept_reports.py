"""Reports that are made once, and taken again where they would be the same."""

import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mc_keras.connectors import Connector
from mc_keras.evaluation import PathReport
from mc_keras.locks import LOCK, locked
from mc_keras.progress import ProgressBar
from mc_keras.reproduction.published import ENDS
from mc_keras.reproduction.result import SPLITS, seconds_of, worst_of
from mc_keras.reproduction.rows import exists
from mc_keras.storage import sha256_of_file
from mc_keras.workspace import Workspace

_ACCURACIES = [f"{split}_accuracy" for split in SPLITS]
_LOSSES = [f"{split}_loss" for split in SPLITS]


class KeptReports:
    """Reports on the paths of one pair, kept in a folder.

    A row's report is `ROW.json`. When it is measured with other settings, the one before stays,
    as `ROW.DIGEST.json`, and is taken when its settings come again.

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
        found = sorted({file.name.partition(".")[0] for file in self._folder.glob("*.json")})
        return [row for row in found if exists(row) and row not in wanted]

    def load(self, row: str) -> PathReport | None:
        """The report of an earlier run, if it would be the same now."""
        return self._first([self._file(row), *sorted(self._folder.glob(f"{row}.*.json"))], row)

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
        if not keep_path:
            return self.load(row)
        # The file of a path is that of the latest report.
        there = self._workspace.path_file(row).exists()
        return self._first([self._file(row)] if there else [], row)

    def _first(self, files: Iterable[pathlib.Path], row: str) -> PathReport | None:
        """The first of these reports that would be the same now."""
        reports = map(_read, files)
        return next((r for r in reports if r is not None and self._is_of(row, r)), None)

    def _set_aside(self, row: str) -> None:
        """Gives the report that is there, if it is whole, the name of those of other settings."""
        file = self._file(row)
        if _read(file) is not None:
            os.replace(file, file.with_name(f"{row}.{sha256_of_file(file)[:12]}.json"))

    def _make(self, row: str, bar: ProgressBar) -> PathReport:
        path = self._workspace.path(row, self._connector_of(row))
        report = self._workspace.measure(row, path, self._points(row))
        report.metadata["num_points"] = self._points(row)
        if self._command is not None:
            report.metadata["command"] = self._command
        self._set_aside(row)
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


def _read(file: pathlib.Path) -> PathReport | None:
    try:
        return PathReport.load(file)
    except (OSError, ValueError):
        return None


def _mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What a record has there; nothing if that is of another kind, as in a damaged file."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}
