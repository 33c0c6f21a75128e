"""Paths of many short segments, each of which moves few weights."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.paths.base import Path
from mc_keras.weight_space import WeightSpace

# Number of the array, positions in it when flat, and the values there at the end of the segment.
Change = tuple[int, NDArray[np.integer], NDArray]


class EditsPath(Path):
    """Straight segments one after the other, stored as the weights that each of them changes.

    All segments take the same share of `[0, 1]`. A path of a thousand segments that each move a
    few units costs as much memory as a few networks, not as a thousand.

    Evaluation visits all `knots`: they are the two ends and the `marks` only; `corners` are the
    ends of all segments.

    Args:
        space: Weight space of a private copy of the architecture.
        start: Point at `t = 0`.
        start_state: State at `t = 0`.
        edits: For each segment its changes `(number, positions, values)`. Arrays are numbered
            through the point, then the state. Weights that are not named stay; a segment names no
            weight twice.
        marks: Positions between the ends that an evaluation must not miss, such as those of the
            highest loss.
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
        marks: Sequence[float] = (),
        method: str = "edits",
        provenance: dict[str, Any] | None = None,
    ):
        super().__init__(space, method=method, provenance=provenance)
        self.start = [*start, *start_state]
        self.num_segments = len(edits)
        self.marks = sorted({float(t) for t in marks})
        self._tables = [_Table.of(number, array, edits) for number, array in enumerate(self.start)]
        self._travelled: NDArray | None = None

    @property
    def knots(self) -> tuple[float, ...]:
        """The two ends and the marks between them; see `corners`."""
        return (0.0, *self.marks, 1.0)

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

    def edits(self, number: int) -> bool:
        """Whether a segment changes array `number`, counted as in `edits` of the constructor."""
        return self._tables[number].values.size > 0

    def write(self, t: float, number: int, target: NDArray) -> None:
        """Write array `number` as it is at `t`, in `[0, 1]`, into a contiguous array."""
        segment = min(int(t * self.num_segments), max(self.num_segments - 1, 0))
        s = t * self.num_segments - segment if t < 1 else 1.0
        target[...] = self.start[number]
        self._tables[number].apply(target.reshape(-1), segment, s)

    def _point(self, t: float) -> list[NDArray]:
        return self._arrays(t, range(len(self.variables)))

    def _state(self, t: float) -> list[NDArray]:
        return self._arrays(t, range(len(self.variables), len(self.start)))

    def _arrays(self, t: float, numbers: Iterable[int]) -> list[NDArray]:
        arrays = []
        for number in numbers:
            arrays.append(np.empty_like(self.start[number], order="C"))
            self.write(t, number, arrays[-1])
        return arrays

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
            "marks": self.marks,
            "start": [store.add(array) for array in self.start],
            "tables": [[store.add(array) for array in table.arrays()] for table in self._tables],
        }

    @classmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "EditsPath":
        """See `Path`.

        Raises:
            ValueError: If the file is of a version that kept the changes in another way.
        """
        arrays = [load(name) for name in config["start"]]
        count = len(space.variables)
        marks = config.get("marks", ())
        path = cls(space, arrays[:count], arrays[count:], [], marks=marks)
        path.num_segments = config["num_segments"]
        if any(len(names) != _Table.NUM_ARRAYS for names in config["tables"]):
            raise ValueError(
                "This path was saved by an earlier version of mc_keras, which kept the changes of "
                "its segments in another way; connect the networks again."
            )
        path._tables = [_Table(*(load(name) for name in names)) for names in config["tables"]]
        return path


class _Table:
    """The changes of one array, those of earlier segments first.

    What changes is columns or rows of a matrix: their positions are kept as a few runs.

    Attributes:
        starts: First position of each run in the flat array, shape `(runs,)`.
        steps: From one position of a run to the next, shape `(runs,)`.
        lengths: Number of positions of each run, shape `(runs,)`.
        values: Values at the end of the segment, those of the first run first, shape `(changes,)`.
        counts: Number of runs of each segment, shape `(segments,)`.
    """

    NUM_ARRAYS = 5

    def __init__(
        self, starts: NDArray, steps: NDArray, lengths: NDArray, values: NDArray, counts: NDArray
    ):
        self.starts, self.steps, self.lengths = starts, steps, lengths
        self.values, self.counts = values, counts
        self._ends_of_segments = np.cumsum(counts, dtype="int64")
        self._ends_of_runs = np.cumsum(lengths, dtype="int64")

    def arrays(self) -> tuple[NDArray, ...]:
        """What the table is made of."""
        return self.starts, self.steps, self.lengths, self.values, self.counts

    @classmethod
    def of(cls, number: int, array: NDArray, edits: Sequence[Sequence[Change]]) -> "_Table":
        dtype = np.int32 if array.size <= np.iinfo(np.int32).max else np.int64
        runs: list[NDArray] = [np.zeros((3, 0), dtype)]
        values: list[NDArray] = [np.zeros(0, array.dtype)]
        counts = np.zeros(len(edits), np.int32)
        width = array.shape[-1] if array.ndim else 1
        for segment, changes in enumerate(edits):
            for changed, where, what in changes:
                if changed == number and where.size:
                    found, order = _runs(np.ravel(where), width)
                    runs.append(found.astype(dtype))
                    values.append(np.asarray(what, array.dtype).ravel()[order])
                    counts[segment] += found.shape[1]
        starts, steps, lengths = np.concatenate(runs, axis=1)
        return cls(starts, steps, lengths, np.concatenate(values), counts)

    def _pieces(self, first: int, last: int) -> Iterator[tuple[slice, NDArray]]:
        """For each run from `first` to before `last`: where in the flat array, and the values."""
        runs = slice(first, last)
        parts = (self.starts[runs], self.steps[runs], self.lengths[runs], self._ends_of_runs[runs])
        for start, step, length, end in zip(*(part.tolist() for part in parts), strict=True):
            yield slice(start, start + step * length, step), self.values[end - length : end]

    def squared_lengths(self, array: NDArray) -> NDArray:
        """Squared L2 norm of what each segment adds to `array`, in float64."""
        flat = array.ravel().copy()
        squares = np.zeros(len(self.counts))
        segments = np.repeat(np.arange(len(self.counts)), self.counts)
        for segment, (where, goal) in zip(segments, self._pieces(0, len(segments)), strict=True):
            squares[segment] += np.sum(np.square(np.subtract(goal, flat[where], dtype="float64")))
            flat[where] = goal
        return squares

    def apply(self, flat: NDArray, segment: int, s: float) -> None:
        """Bring a flat array from the start of the path to the part `s` of a segment."""
        if not self.values.size:
            return
        last = int(self._ends_of_segments[segment])
        first = last - int(self.counts[segment])
        for where, goal in self._pieces(0, first if s < 1 else last):
            flat[where] = goal
        if s < 1:
            for where, goal in self._pieces(first, last):
                # Half precision is computed in single.
                s_there = np.result_type(flat.dtype, "float32").type(s)
                flat[where] += s_there * (goal - flat[where])

    def tensor_at(
        self, array: NDArray, segment: Any, s: Any, as_tensor: Callable[[np.ndarray], Any]
    ) -> Any:
        """See `apply`; `segment` and `s` are tensors."""
        base = as_tensor(array)
        if not self.values.size:
            return base
        ops, flat = keras.ops, keras.ops.reshape(base, (-1,))
        # `as_tensor` knows the arrays of the path and no others.
        starts, steps, lengths, values, counts = map(as_tensor, self.arrays())
        lengths = ops.cast(lengths, "int32")
        ends_of_runs = ops.cumsum(lengths)
        numbers = ops.arange(len(self.values), dtype="int32")
        within = numbers - ops.repeat(ends_of_runs - lengths, lengths)
        positions = ops.repeat(starts, lengths) + ops.repeat(steps, lengths) * ops.cast(
            within, steps.dtype
        )
        # Number of changes until the start of each segment, and until the end of the last.
        ends = ops.take(ops.pad(ends_of_runs, [(1, 0)]), ops.pad(ops.cumsum(counts), [(1, 0)]))

        def after(count: Any) -> Any:
            done = ops.where(numbers < count, numbers, -1)
            last = ops.segment_max(done, positions, num_segments=array.size)
            return ops.where(last >= 0, ops.take(values, ops.maximum(last, 0)), flat)

        before, goal = after(ops.take(ends, segment)), after(ops.take(ends, segment + 1))
        moved = before + ops.cast(s, before.dtype) * (goal - before)
        return ops.reshape(moved, array.shape)


def _runs(positions: NDArray, width: int) -> tuple[NDArray, NDArray]:
    """Positions as runs along the rows or the columns of a matrix.

    Args:
        positions: Positions in the flat matrix, at least one.
        width: Number of columns.

    Returns:
        `(starts, steps, lengths)`, shape `(3, runs)`, and the order of the positions in the runs.
    """
    natural = np.arange(len(positions))
    by_column = np.argsort(positions % width, kind="stable")
    candidates = [(natural, 1), (natural, width), (by_column, width)]
    breaks = [np.diff(positions[order]) != step for order, step in candidates]
    best = int(np.argmin([np.count_nonzero(b) for b in breaks]))
    order, step = candidates[best]
    first = np.concatenate([[0], np.flatnonzero(breaks[best]) + 1])
    starts, lengths = positions[order][first], np.diff([*first, len(positions)])
    return np.stack([starts, np.full_like(starts, step), lengths]), order
