"""Solutions kept in a file, so that a construction that was killed goes on after its last one."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mc_keras.checkpoint import Arrays, Checkpoint


class Solutions:
    """Solutions in the order in which they are asked for, which is always the same.

    Without a checkpoint none is kept: they are on the path.

    Args:
        checkpoint: Where they are kept; nowhere if not given.

    Raises:
        ValueError: If the checkpoint is damaged, or of another construction.
    """

    def __init__(self, checkpoint: Checkpoint | None = None):
        self._checkpoint = checkpoint
        saved = None if checkpoint is None else checkpoint.load()
        self._arrays: Arrays = {"solutions": []} if saved is None else saved[1]
        self._asked = 0
        self._told = 0

    def next(self, solve: Callable[[], NDArray]) -> NDArray:
        """The next solution: that of an earlier run, or what `solve` returns.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._checkpoint is None:
            return solve()
        known = self._arrays["solutions"]
        if self._asked == len(known):
            known.append(solve())
            self._save()
        self._asked += 1
        return known[self._asked - 1]

    def number(self, compute: Callable[[], float]) -> float:
        """A number that takes solutions to find, such as the loss of a path that is tried.

        Args:
            compute: Finds it, asking for solutions on the way, which are not kept after that. What
                an earlier run has found is not computed again, and its solutions are passed over.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._checkpoint is None:
            return compute()
        known = self._arrays.setdefault("numbers", [])
        if self._told == len(known):
            begin = self._asked
            found = compute()
            for passed in range(begin, self._asked):
                self._arrays["solutions"][passed] = np.empty(0)
            known.append(np.array([found, self._asked], "float64"))
            self._save()
        number, asked = known[self._told]
        self._told += 1
        self._asked = int(asked)
        return float(number)

    def _save(self) -> None:
        if self._checkpoint is not None and self._checkpoint.due():
            self._checkpoint.save({"solved": len(self._arrays["solutions"])}, self._arrays)
