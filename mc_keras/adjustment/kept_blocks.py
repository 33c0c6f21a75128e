"""Blocks of arrays that may be more than memory should hold."""

import io
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.shared_memory import copy_of, empty

# Bytes of rows that are held in memory, of all layers together.
ROWS_BYTES = 2**30


class KeptBlocks:
    """Arrays, read again and again in any order: in memory up to a limit, the rest in a file.

    The file is a temporary one, in the folder for those (`TMPDIR`), and goes with the object.

    Args:
        blocks: The arrays.
        limit: Bytes that may be held in memory.

    Attributes:
        nbytes: Bytes that are held in memory.
    """

    def __init__(self, blocks: Iterable[NDArray], limit: int):
        self._blocks: list[NDArray | Callable[[], NDArray]] = []
        self._limit = limit
        self.nbytes = 0
        self._file: io.BufferedRandom | None = None
        for block in blocks:
            self.append(block)

    def append(self, block: NDArray) -> None:
        """Add an array."""
        if self._file is None and self.nbytes + block.nbytes <= self._limit:
            self.nbytes += block.nbytes
            # Of memory of its own: that of TensorFlow's allocator is never given back, and would be
            # left in pieces; a part of an array would keep the whole.
            self._blocks.append(block if block.flags.owndata else copy_of(block))
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()
            weakref.finalize(self, self._file.close)
        self._blocks.append(_written(block, self._file))

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, number: int) -> NDArray:
        block = self._blocks[number]
        return block if isinstance(block, np.ndarray) else block()

    def __iter__(self) -> Iterator[NDArray]:
        return (self[number] for number in range(len(self)))


def room_for_files() -> int:
    """Bytes that temporary files may take: half of what is free, as others write some too."""
    return shutil.disk_usage(tempfile.gettempdir()).free // 2


def _written(block: NDArray, file: io.BufferedRandom) -> Callable[[], NDArray]:
    """Append an array to a file; a function that reads it again."""
    place, shape, dtype = file.seek(0, 2), block.shape, block.dtype
    file.write(np.ascontiguousarray(block).reshape(-1).view("uint8"))

    def read() -> NDArray:
        file.seek(place)
        array = empty(shape, dtype)
        file.readinto(array.reshape(-1).view("uint8"))
        return array

    return read


# Rows of features or outputs, block by block.
Rows = list[NDArray] | KeptBlocks
