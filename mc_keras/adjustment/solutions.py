"""Solutions kept in a file, so that a construction that was killed goes on after its last one."""

from collections.abc import Callable

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
            if self._checkpoint.due():
                self._checkpoint.save({"solved": len(known)}, self._arrays)
        self._asked += 1
        return known[self._asked - 1]
