"""Progress: a bar of one line on stderr, and what Keras shows of a training."""

import sys
import time
from typing import TextIO

_WIDTH = 30
_SECONDS_BETWEEN = 0.1


class ProgressBar:
    """Shows how much of a long job is done, and how long the rest will take.

    On a terminal and in a notebook it rewrites its line; in a log it writes the finished bar only.

    Args:
        label: What is being done.
        total: Units of work, or bytes.
        verbose: 0 shows nothing.
        in_bytes: Whether the units are bytes, to be shown as such.
        stream: Where to write; `sys.stderr` if not given.
    """

    def __init__(
        self,
        label: str,
        total: float,
        *,
        verbose: int = 1,
        in_bytes: bool = False,
        stream: TextIO | None = None,
    ):
        self._label = label
        self._total = total
        self._verbose = verbose
        self._in_bytes = in_bytes
        self._stream = sys.stderr if stream is None else stream
        self._rewrites = _is_rewritten(self._stream)
        self._done = 0.0
        self._doing = ""
        self._began = time.monotonic()
        self._shown_at = -_SECONDS_BETWEEN

    def add(self, units: float) -> None:
        """Count work that is done."""
        self.reach(self._done + units)

    def reach(self, done: float) -> None:
        """Show that `done` of the units are done in all."""
        self._done = done
        finished = done >= self._total
        now = time.monotonic()
        due = self._rewrites and now - self._shown_at >= _SECONDS_BETWEEN
        if not self._verbose or not (finished or due):
            return
        self._shown_at = now
        self._show(finished=finished)

    def doing(self, what: str) -> None:
        """Show what is being worked on, until there is something else or all is done."""
        self._doing = what
        if self._verbose and self._rewrites:
            self._show()

    def say(self, text: str) -> None:
        """Write a line of its own, in a log too; the bar goes on below it."""
        if not self._verbose:
            return
        clear = "\r\x1b[K" if self._rewrites else ""
        self._stream.write(f"{clear}{text}\n")
        self._stream.flush()

    def _show(self, *, finished: bool = False) -> None:
        now = time.monotonic()
        part = min(self._done / self._total, 1.0) if self._total else 1.0
        filled = "=" * int(_WIDTH * part)
        line = f"{self._label} [{filled:.<{_WIDTH}}] {self._amount(part, now - self._began)}"
        if self._doing and not finished:
            line += f", {self._doing}"
        start, end = ("\r", "\x1b[K") if self._rewrites else ("", "")
        self._stream.write(start + line + end + ("\n" if finished else ""))
        self._stream.flush()

    def _amount(self, part: float, seconds: float) -> str:
        if self._in_bytes:
            scale, unit = (1e6, "MB") if self._total >= 1e6 else (1e3, "kB")
            return f"{self._done / scale:.1f}/{self._total / scale:.1f} {unit}"
        if part == 1.0:
            return f"100 % {seconds:.0f} s"
        left = f" {seconds * (1 - part) / part:.0f} s left" if part else ""
        return f"{100 * part:3.0f} %{left}"


def training_verbosity(verbose: int) -> int:
    """What `fit` is told: in a log a line per epoch (2) in place of its bar (1)."""
    return 2 if verbose == 1 and not _is_rewritten(sys.stdout) else verbose


def _is_rewritten(stream: TextIO) -> bool:
    return stream.isatty() or "ipykernel" in sys.modules
