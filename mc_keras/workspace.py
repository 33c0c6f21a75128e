"""A folder that keeps paths and evaluations, so that a run that was killed goes on where it was."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from mc_keras.architecture import describe_network
from mc_keras.connectors import Connector, connect
from mc_keras.evaluation import PathReport, evaluate_path
from mc_keras.paths import Path, load_path
from mc_keras.provenance import versions
from mc_keras.storage import PathLike, fingerprint


class Workspace:
    """Paths between two networks, made and measured in a folder.

    Args:
        folder: Where to write.
        start: Network at `t = 0`.
        end: Network at `t = 1`, of the same architecture.
        splits: Split name to `(x, y)` in memory, as `checked_splits` returns them.
        measured: What paths are measured on, if not on all of `splits`.
        seed: Seed of everything random in the methods.
        verbose: 1 for progress of each training and evaluation.

    Attributes:
        origin: JSON-able: what a path depends on besides its method.
        verbose: As given.
    """

    def __init__(
        self,
        folder: PathLike,
        start: keras.Model,
        end: keras.Model,
        splits: Mapping[str, Any],
        *,
        measured: Mapping[str, Any] | None = None,
        seed: int = 0,
        verbose: int = 0,
    ):
        self._folder = pathlib.Path(folder)
        self._start, self._end = start, end
        self._splits = dict(splits)
        self._measured = dict(splits if measured is None else measured)
        self.verbose = verbose
        self.origin: dict[str, Any] = {
            "start": describe_network(start),
            "end": describe_network(end),
            "data": {
                name: {"sha256": fingerprint((x, y)), "examples": len(x)}
                for name, (x, y) in splits.items()
            },
            "seed": seed,
            "versions": versions(),
        }

    def path_file(self, method: str) -> pathlib.Path:
        """Where the path of a method is kept."""
        return self._folder / "paths" / f"{method}.path"

    def path(self, method: str, connector: Connector) -> Path:
        """The path of an earlier run if it was made in the same way from the same, else a new one.

        Args:
            method: Name of the file.
            connector: Makes the path.
        """
        try:
            path = load_path(self.path_file(method))
        except (OSError, ValueError):
            path = None
        if path is None or not self.made_by(connector, path.provenance):
            path = _resumed(
                self.checkpoint(f"{method}.connecting"),
                lambda checkpoint: connect(
                    self._start,
                    self._end,
                    connector,
                    self._splits,
                    seed=self.origin["seed"],
                    checkpoint=checkpoint,
                    verbose=self.verbose,
                ),
            )
            path.save(self.path_file(method))
        return path

    def made_by(self, connector: Connector, provenance: Mapping[str, Any]) -> bool:
        """Whether a provenance is that of this connector's path between these networks."""
        takes_data = connector.needs_data or connector.uses_data
        config = {"class": type(connector).__name__, **connector.get_config()}
        expected = {
            **self.origin,
            "data": self.origin["data"].get("train") if takes_data else None,
            "connector": json.loads(json.dumps(config)),
        }
        return all(
            _unnamed(key, provenance.get(key)) == _unnamed(key, expected[key]) for key in expected
        )

    def measure(self, method: str, path: Path, num_points: int) -> PathReport:
        """Evaluate a path, from where an earlier run was."""
        return _resumed(
            self.checkpoint(method),
            lambda checkpoint: evaluate_path(
                path, self._measured, num_points, checkpoint=checkpoint, verbose=self.verbose
            ),
        )

    @property
    def measured_on(self) -> dict[str, str]:
        """Fingerprint of each split that paths are measured on, as in the metadata of reports."""
        return {name: fingerprint(split) for name, split in self._measured.items()}

    def checkpoint(self, name: str) -> pathlib.Path:
        """File that holds how far an evaluation or a construction is."""
        return self._folder / "unfinished" / f"{name}.checkpoint"

    def remembers(self, method: str, *, keep_path: bool = False) -> bool:
        """Whether there is anything that `forget` would remove."""
        return any(file.exists() for file in self._files(method, keep_path=keep_path))

    def forget(self, method: str, *, keep_path: bool = False) -> None:
        """Remove what was kept of a method to go on, and its path unless that is to be kept."""
        for file in self._files(method, keep_path=keep_path):
            file.unlink(missing_ok=True)
        for folder in ("paths", "unfinished"):
            with contextlib.suppress(OSError):  # it is not there, or other methods' files are in it
                (self._folder / folder).rmdir()

    def finish(self) -> None:
        """Remove what was kept of all methods to go on."""
        folder = self._folder / "unfinished"
        for file in folder.glob("*.checkpoint"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not there, or files of others are in it
            folder.rmdir()

    def _files(self, method: str, *, keep_path: bool) -> list[pathlib.Path]:
        files = [self.checkpoint(method), self.checkpoint(f"{method}.connecting")]
        return files if keep_path else [*files, self.path_file(method)]


def _unnamed(key: str, value: Any) -> Any:
    """Of a network its digests: Keras numbers the names of those that are built again."""
    is_network = key in ("start", "end") and isinstance(value, Mapping)
    return (value.get("sha256"), value.get("architecture")) if is_network else value


def _resumed(checkpoint: pathlib.Path, work: Callable[[pathlib.Path], Any]) -> Any:
    """The result of work that goes on from a checkpoint, if that is whole and of the same work."""
    try:
        return work(checkpoint)
    except ValueError as error:
        if os.fspath(checkpoint) not in str(error):
            raise
        checkpoint.unlink()
        return work(checkpoint)
