"""Paths of many short segments, each of which moves few weights."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.paths.base import Path
from mc_keras.weight_space import WeightSpace

# Number of the array, positions in it when flat, and the values there at the end of the segment.
Change = tuple[int, NDArray[np.integer], NDArray]

# NumPy makes wider copies of the positions that it is given.
_CHUNK = 2**18


class EditsPath(Path):
    """Straight segments one after the other, stored as the weights that each of them changes.

    All segments take the same share of `[0, 1]`. A path of a thousand segments that each move a
    few units costs as much memory as a few networks, not as a thousand.

    `knots` are the two ends only, since evaluation visits all knots; `corners` are the ends of all
    segments.

    Args:
        space: Weight space of a private copy of the architecture.
        start: Point at `t = 0`.
        start_state: State at `t = 0`.
        edits: For each segment its changes `(number, positions, values)`. Arrays are numbered
            through the point, then the state. Weights that are not named stay.
        method: Name of the method.
        provenance: See `Path`.
    """

    def __init__(
        self,
        space: WeightSpace,
        start: Sequence[NDArray],
        start_state: Sequence[NDArray],
        edits: Sequence[Sequence[Change]],
        *,
        method: str = "edits",
        provenance: dict[str, Any] | None = None,
    ):
        super().__init__(space, method=method, provenance=provenance)
        self.start = [*start, *start_state]
        self.num_segments = len(edits)
        self._tables = [_Table.of(number, array, edits) for number, array in enumerate(self.start)]
        self._travelled: NDArray | None = None

    @property
    def knots(self) -> tuple[float, ...]:
        """The two ends; see `corners`."""
        return (0.0, 1.0)

    @property
    def corners(self) -> tuple[float, ...]:
        """Ends of the segments."""
        return tuple((np.arange(self.num_segments + 1) / max(self.num_segments, 1)).tolist())

    def travelled(self, t: float) -> float:
        """Length in weight space of the path up to `t`, L2, all corners counted."""
        if self._travelled is None:
            count = len(self.variables)
            squares = np.zeros(self.num_segments)
            for array, table in zip(self.start[:count], self._tables[:count], strict=True):
                squares += table.squared_lengths(array)
            self._travelled = np.concatenate([[0.0], np.cumsum(np.sqrt(squares))])
        position = t * self.num_segments
        return float(np.interp(position, np.arange(self.num_segments + 1), self._travelled))

    def _point(self, t: float) -> list[NDArray]:
        count = len(self.variables)
        return self._arrays(t, self.start[:count], self._tables[:count])

    def _state(self, t: float) -> list[NDArray]:
        count = len(self.variables)
        return self._arrays(t, self.start[count:], self._tables[count:])

    def _arrays(self, t: float, arrays: list[NDArray], tables: list["_Table"]) -> list[NDArray]:
        segment = min(int(t * self.num_segments), max(self.num_segments - 1, 0))
        s = t * self.num_segments - segment if t < 1 else 1.0
        pairs = zip(arrays, tables, strict=True)
        return [table.at(array, segment, s) for array, table in pairs]

    def tensor_point(
        self, t: Any, as_tensor: Callable[[np.ndarray], Any] = keras.ops.convert_to_tensor
    ) -> tuple[list[Any], list[Any]]:
        """See `Path`."""
        position = keras.ops.cast(t, "float32") * self.num_segments
        segment = keras.ops.clip(keras.ops.floor(position), 0, max(self.num_segments - 1, 0))
        s, segment = position - segment, keras.ops.cast(segment, "int32")
        tensors = [
            table.tensor_at(array, segment, s, as_tensor)
            for array, table in zip(self.start, self._tables, strict=True)
        ]
        count = len(self.variables)
        return tensors[:count], tensors[count:]

    def describe(self, store: Any) -> dict[str, Any]:
        """See `Path`."""
        return {
            "kind": "edits",
            "num_segments": self.num_segments,
            "start": [store.add(array) for array in self.start],
            "tables": [
                [store.add(array) for array in (table.positions, table.values, table.counts)]
                for table in self._tables
            ],
        }

    @classmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "EditsPath":
        """See `Path`."""
        arrays = [load(name) for name in config["start"]]
        count = len(space.variables)
        path = cls(space, arrays[:count], arrays[count:], [])
        path.num_segments = config["num_segments"]
        path._tables = [_Table(*(load(name) for name in names)) for names in config["tables"]]
        return path


class _Table:
    """The changes of one array, those of earlier segments first.

    Attributes:
        positions: Positions in the flat array, shape `(changes,)`.
        values: Values at the end of the segment, shape `(changes,)`.
        counts: Number of changes of each segment, shape `(segments,)`.
    """

    def __init__(self, positions: NDArray, values: NDArray, counts: NDArray):
        self.positions, self.values, self.counts = positions, values, counts

    @classmethod
    def of(cls, number: int, array: NDArray, edits: Sequence[Sequence[Change]]) -> "_Table":
        dtype = np.int32 if array.size <= np.iinfo(np.int32).max else np.int64
        positions: list[NDArray] = [np.zeros(0, dtype)]
        values: list[NDArray] = [np.zeros(0, array.dtype)]
        counts = np.zeros(len(edits), np.int32)
        for segment, changes in enumerate(edits):
            for changed, where, what in changes:
                if changed == number:
                    positions.append(np.asarray(where, dtype).ravel())
                    values.append(np.asarray(what, array.dtype).ravel())
                    counts[segment] += where.size
        return cls(np.concatenate(positions), np.concatenate(values), counts)

    def squared_lengths(self, array: NDArray) -> NDArray:
        """Squared L2 norm of what each segment adds to `array`, in float64."""
        flat = array.ravel().copy()
        squares = np.zeros(len(self.counts))
        ends = np.cumsum(self.counts)
        for segment in np.flatnonzero(self.counts):
            part = slice(int(ends[segment] - self.counts[segment]), int(ends[segment]))
            where, goal = self.positions[part], self.values[part]
            squares[segment] = np.sum(np.square(np.subtract(goal, flat[where], dtype="float64")))
            flat[where] = goal
        return squares

    def at(self, array: NDArray, segment: int, s: float) -> NDArray:
        """A copy of `array` at the part `s` of a segment."""
        result = array.copy()
        if not self.values.size:
            return result
        flat = result.reshape(-1)
        first = int(self.counts[:segment].sum())
        last = first + int(self.counts[segment])
        # Where a position occurs twice NumPy keeps the later value, that of the later segment.
        for begin in range(0, first, _CHUNK):
            part = slice(begin, min(begin + _CHUNK, first))
            flat[self.positions[part]] = self.values[part]
        where, goal = self.positions[first:last], self.values[first:last]
        flat[where] = goal if s == 1 else flat[where] + np.float32(s) * (goal - flat[where])
        return result

    def tensor_at(
        self, array: NDArray, segment: Any, s: Any, as_tensor: Callable[[np.ndarray], Any]
    ) -> Any:
        """See `at`; `segment` and `s` are tensors."""
        base = as_tensor(array)
        if not self.values.size:
            return base
        ops, flat = keras.ops, keras.ops.reshape(base, (-1,))
        positions, values = as_tensor(self.positions), as_tensor(self.values)
        numbers = ops.arange(len(self.values), dtype="int32")
        ends = ops.cumsum(as_tensor(self.counts))

        def after(count: Any) -> Any:
            done = ops.where(numbers < count, numbers, -1)
            last = ops.segment_max(done, positions, num_segments=array.size)
            return ops.where(last >= 0, ops.take(values, ops.maximum(last, 0)), flat)

        until = ops.take(ends, segment)
        before, goal = after(until - ops.take(as_tensor(self.counts), segment)), after(until)
        moved = before + ops.cast(s, before.dtype) * (goal - before)
        return ops.reshape(moved, array.shape)
