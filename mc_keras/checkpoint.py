"""Where a long computation stands, on disk, so that it can be killed and continued."""

import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mc_keras._version import __version__
from mc_keras.storage import PathLike, read_archive, write_archive

FORMAT = "mc_keras.checkpoint"
FORMAT_VERSION = 1
_SECONDS_BETWEEN = 2.0
# Large checkpoints are written more rarely: writing takes this part of the time at most.
_SHARE_OF_TIME = 0.1

Arrays = dict[str, list[np.ndarray]]


class Checkpoint:
    """A file that is written atomically, about every two seconds.

    Args:
        file: The file; `None` for none.
        run: JSON-able mapping of what the computation depends on, by the name an error gives it.
        kind: What is computed, as an error says it.

    Attributes:
        seconds_before: Duration of the parts before an interruption, once loaded.
    """

    def __init__(self, file: PathLike | None, run: Mapping[str, Any], kind: str = "evaluation"):
        self._file = None if file is None else pathlib.Path(file)
        self._run = json.loads(json.dumps(run, default=str))  # as it will be read back
        self._kind = kind
        self._written = self._began = time.monotonic()
        self._pause = 0.0
        self.seconds_before = 0.0

    def load(self) -> tuple[dict[str, int], Arrays] | None:
        """Cursor and lists of arrays as they were last saved; `None` if nothing is.

        Raises:
            ValueError: If the file is damaged, or of another computation.
        """
        if self._file is None or not self._file.exists():
            return None
        header, members = read_archive(self._file, f"{self._kind} checkpoint")
        known = (FORMAT, FORMAT_VERSION, self._kind)
        article = "an" if self._kind[0] in "aeiou" else "a"
        if tuple(header.get(key) for key in ("format", "format_version", "kind")) != known:
            raise ValueError(
                f"{self._file} is not the checkpoint of {article} {self._kind} that mc_keras "
                f"{__version__} reads; choose another file name."
            )
        different = [key for key in self._run if header["run"].get(key) != self._run[key]]
        if different:
            raise ValueError(
                f"The checkpoint {self._file} is of another {self._kind}: its {different[0]} "
                "differs from what is asked for now; delete it or choose another file."
            )
        self.seconds_before = header.get("seconds", 0.0)
        arrays: Arrays = {key: [] for key in header["lists"]}
        for key, items in arrays.items():
            while (name := f"{key}/{len(items):04d}") in members:
                items.append(members[name])
        return header["cursor"], arrays

    def due(self) -> bool:
        """Whether it is time to save."""
        return self._file is not None and (
            time.monotonic() - self._written >= max(_SECONDS_BETWEEN, self._pause)
        )

    def save(self, cursor: Mapping[str, int], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Write where the evaluation stands.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._file is None:
            return
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": self._kind,
            "run": self._run,
            "cursor": dict(cursor),
            "seconds": self.seconds_before + time.monotonic() - self._began,
            "lists": list(arrays),
        }
        began = time.monotonic()
        members = {f"{k}/{j:04d}": a for k, items in arrays.items() for j, a in enumerate(items)}
        write_archive(self._file, header, members)
        self._written = time.monotonic()
        self._pause = (self._written - began) / _SHARE_OF_TIME
