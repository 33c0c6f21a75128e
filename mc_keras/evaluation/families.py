"""Families of points: which points of an evaluation are combinations of the same control points."""

import abc
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mc_keras.evaluation.buffers import aligned_zeros
from mc_keras.paths import AffinePath, EditsPath, Path, PiecewisePath

# Numbers of the largest temporary that combines control points, unless one point has more.
_CHUNK = 2**20


class Family(abc.ABC):
    """Points that are evaluated together.

    Attributes:
        numbers: Number of each point in the whole evaluation.
    """

    def __init__(self, numbers: Sequence[int]):
        self.numbers = list(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @abc.abstractmethod
    def moves(self, variable: int) -> bool:
        """Whether this variable differs between the points."""

    @abc.abstractmethod
    def weights(
        self, members: Sequence[int], variables: Sequence[int], length: int
    ) -> list[np.ndarray]:
        """Weights of some points, and zeros behind them.

        Args:
            members: The points, at most `length`.
            variables: Positions of the variables.
            length: First axis of the arrays.

        Returns:
            One new array of shape `(length, ...)` for each variable.
        """

    @abc.abstractmethod
    def states(self, members: Sequence[int]) -> list[np.ndarray]:
        """States of some points, one array of shape `(len(members), ...)` for each variable."""


class SampledFamily(Family):
    """Points of any path, each computed by the path itself."""

    def __init__(self, numbers: Sequence[int], path: Path, positions: Sequence[float]):
        super().__init__(numbers)
        self._path = path
        self._positions = positions

    def moves(self, variable: int) -> bool:
        """See `Family`."""
        return True

    def weights(
        self, members: Sequence[int], variables: Sequence[int], length: int
    ) -> list[np.ndarray]:
        """See `Family`."""
        shapes = [tuple(self._path.variables[i].shape) for i in variables]
        arrays: list[np.ndarray] = []
        for row, member in enumerate(members):
            point = self._path(self._positions[member])
            chosen = [point[i] for i in variables]
            arrays = arrays or [
                aligned_zeros((length, *shape), a.dtype)
                for shape, a in zip(shapes, chosen, strict=True)
            ]
            for array, values in zip(arrays, chosen, strict=True):
                array[row] = values
        return arrays

    def states(self, members: Sequence[int]) -> list[np.ndarray]:
        """See `Family`."""
        states = [self._path.state(self._positions[m]) for m in members]
        return [np.stack(arrays) for arrays in zip(*states, strict=True)]


class EditsFamily(SampledFamily):
    """Points of a path stored as edits, which computes one array at a time, in its place."""

    _path: EditsPath

    def moves(self, variable: int) -> bool:
        """See `Family`."""
        return self._path.edits(variable)

    def weights(
        self, members: Sequence[int], variables: Sequence[int], length: int
    ) -> list[np.ndarray]:
        """See `Family`."""
        starts = [self._path.start[i] for i in variables]
        arrays = [aligned_zeros((length, *start.shape), start.dtype) for start in starts]
        for row, member in enumerate(members):
            for i, array in zip(variables, arrays, strict=True):
                self._path.write(self._positions[member], i, array[row])
        return arrays


class AffineFamily(Family):
    """Points `w_i = sum(c_i[k] * control_points[k][i] for k)` with the same control points.

    Args:
        numbers: See `Family`.
        shapes: Shapes of the variables.
        control_points: List of points; see `AffinePath` for shapes that broadcast and `None`.
        coefficients: `coefficients[m][i][k]` for member `m`, variable `i`, control point `k`.
        states: State of each member.

    Attributes:
        shapes: Shapes of the variables.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        shapes: Sequence[tuple[int, ...]],
        control_points: Sequence[Sequence[np.ndarray | None]],
        coefficients: Sequence[Sequence[Sequence[Any]]],
        states: Sequence[Sequence[np.ndarray]],
    ):
        super().__init__(numbers)
        self.shapes = shapes
        self._control_points = control_points
        self._coefficients = coefficients
        self._states = states

    def arrays(self, variable: int) -> list[np.ndarray]:
        """Control points of one variable, as many as it has coefficients."""
        count = len(self._coefficients[0][variable])
        points = [point[variable] for point in self._control_points[:count]]
        return [array for array in points if array is not None]

    def coefficients(self, members: Sequence[int], variable: int) -> np.ndarray:
        """Coefficients of one variable: `(members, control points, ...)`, float64.

        The axes after the second are those of the coefficient arrays, which broadcast against the
        variable; scalars have none.
        """
        rows = [self._coefficients[m][variable] for m in members]
        return np.stack([np.stack(np.broadcast_arrays(*row)) for row in rows])

    def moves(self, variable: int) -> bool:
        """See `Family`."""
        first, *others = self.arrays(variable)
        if not all(first.shape == a.shape and np.array_equal(first, a) for a in others):
            return True
        # On a great circle the coefficients do not sum to 1: what is equal at the ends moves too.
        totals = self.coefficients(range(len(self)), variable).sum(1)
        return not np.allclose(totals, totals[:1], rtol=0, atol=1e-12)

    def weights(
        self, members: Sequence[int], variables: Sequence[int], length: int
    ) -> list[np.ndarray]:
        """See `Family`."""
        return [self._combined(members, i, length) for i in variables]

    def _combined(self, members: Sequence[int], variable: int, length: int) -> np.ndarray:
        arrays, shape = self.arrays(variable), self.shapes[variable]
        combined = aligned_zeros((length, *shape), arrays[0].dtype)
        precision = "float64" if combined.dtype == "float64" else "float32"
        arrays = [array.astype(precision, copy=False) for array in arrays]
        coefficients = self.coefficients(members, variable).astype(precision)
        axes = (1,) * (len(shape) - coefficients.ndim + 2) + coefficients.shape[2:]
        rows = max(1, _CHUNK // max(math.prod(shape), 1))
        for begin in range(0, len(members), rows):
            part = coefficients[begin : begin + rows]
            target = combined[begin : begin + len(part)]
            total = target if target.dtype == precision else np.zeros(target.shape, precision)
            for k, array in enumerate(arrays):
                total += part[:, k].reshape(-1, *axes) * array
            if total is not target:
                target[...] = total
        return combined

    def states(self, members: Sequence[int]) -> list[np.ndarray]:
        """See `Family`."""
        return [np.stack(a) for a in zip(*(self._states[m] for m in members), strict=True)]


class Leaf(NamedTuple):
    """A path that is not a concatenation, and the part `[start, end]` of `[0, 1]` it covers."""

    path: Path
    start: float
    end: float

    def local(self, t: float) -> float:
        """Position on this path of the position `t` on the whole."""
        return min(max((t - self.start) / (self.end - self.start), 0.0), 1.0)


def leaf_at(path: Path, t: float) -> Leaf:
    """The innermost segment of a (concatenated) path that holds `t`."""
    start, end = 0.0, 1.0
    while isinstance(path, PiecewisePath):
        k, _ = path.locate((t - start) / (end - start))
        width = end - start
        start, end = start + path.ends[k] * width, start + path.ends[k + 1] * width
        path = path.segments[k]
    return Leaf(path, start, end)


def families_of(path: Path, positions: Sequence[float]) -> list[Family]:
    """The points of a path at `positions`, those with the same control points together."""
    by_leaf: dict[Leaf, list[int]] = {}
    for number, t in enumerate(positions):
        by_leaf.setdefault(leaf_at(path, t), []).append(number)
    return [
        _family(leaf, numbers, [leaf.local(positions[n]) for n in numbers])
        for leaf, numbers in by_leaf.items()
    ]


def _family(leaf: Leaf, numbers: list[int], positions: list[float]) -> Family:
    path = leaf.path
    if isinstance(path, EditsPath):
        return EditsFamily(numbers, path, positions)
    # Where a control point is NaN, 0 * NaN would spoil the ends, which are exact in the path.
    if not isinstance(path, AffinePath) or not _all_finite(path.control_points):
        return SampledFamily(numbers, path, positions)
    return AffineFamily(
        numbers,
        [tuple(variable.shape) for variable in path.variables],
        path.control_points,
        [path.coefficients(s) for s in positions],
        [path.state(s) for s in positions],
    )


def _all_finite(control_points: Sequence[Sequence[np.ndarray | None]]) -> bool:
    return all(np.isfinite(a).all() for point in control_points for a in point if a is not None)
