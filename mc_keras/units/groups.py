"""Groups of hidden units: all weight axes that one permutation of the units acts on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.places import Role


@dataclass(frozen=True, eq=False)
class UnitAxis:
    """One axis of one weight that the units of a group lie along.

    Attributes:
        variable: Index of the weight in `WeightSpace.variables`, or in
            `WeightSpace.state_variables` if it is not trained.
        trainable: Whether the weight is one of `WeightSpace.variables`.
        axis: Number of the axis.
        positions: Integers of shape `(size, block)`: row `u` holds the indices along the axis that
            belong to unit `u`. The block is 1 for most weights, the number of positions for a
            dense layer behind `Flatten`, the number of gates in an LSTM; behind `Concatenate` the
            indices start at an offset.
        role: "in" where the weight makes or scales the units (incoming kernel, bias, batch-norm
            scale and moments), "out" where it reads them (outgoing kernel).
        merged: Number of consecutive axes, from `axis` on, that `positions` index together in
            row-major order. More than 1 in attention layers and grouped convolutions only.
    """

    variable: int
    trainable: bool
    axis: int
    positions: NDArray[np.int64]
    role: Role
    merged: int = 1

    def take(self, array: NDArray) -> NDArray:
        """The entries of each unit, a copy of shape `(size, block * entries of the other axes)`."""
        return self._units_first(array)[self.positions].reshape(len(self.positions), -1)

    def width(self, array: NDArray) -> int:
        """Number of columns that `take` gives."""
        length = int(np.prod(array.shape[self.axis : self.axis + self.merged]))
        return array.size // length * self.positions.shape[1]

    def put(self, array: NDArray, rows: NDArray) -> NDArray:
        """A copy of `array` in which `take` gives `rows`; entries of other units are kept."""
        changed = array.copy()
        view = self._units_first(changed)
        view[self.positions] = rows.reshape(*self.positions.shape, *view.shape[1:])
        return changed

    def permute(self, array: NDArray, permutation: NDArray[np.int64]) -> NDArray:
        """A copy of `array` in which unit `u` is unit `permutation[u]` of `array`."""
        changed = array.copy()
        self._units_first(changed)[self.positions] = self._units_first(array)[
            self.positions[permutation]
        ]
        return changed

    def _units_first(self, array: NDArray) -> NDArray:
        """A view of `array` with the axis of the units, merged if need be, in front."""
        before, after = array.shape[: self.axis], array.shape[self.axis + self.merged :]
        return np.moveaxis(array.reshape(*before, -1, *after), self.axis, 0)


@dataclass(frozen=True, eq=False)
class UnitGroup:
    """Hidden units that any one permutation may reorder without changing the function.

    Attributes:
        name: Name of the layer that makes the units.
        size: Number of units, at least 2.
        axes: Every weight axis that the permutation acts on.
        reduced: Whether a normalization, a softmax, a sum or another reduction over the units reads
            them: a unit then matters even if its outgoing weights are zero.
    """

    name: str
    size: int
    axes: tuple[UnitAxis, ...]
    reduced: bool = False

    def rows(self, point: Sequence[NDArray], role: Role | None = None) -> NDArray:
        """The butterflies: all trained weights of each unit in a row.

        Args:
            point: Arrays aligned with `WeightSpace.variables`.
            role: "in" or "out" to take only incoming or outgoing weights.

        Returns:
            Array of shape `(size, features)`. The features go by the order of `axes`, then by
            block, then by the entries of the other axes of the weight in row-major order. Row `u`
            of a network `x @ kernel + bias`, then `@ next_kernel`, is
            `[kernel[:, u], bias[u], next_kernel[u, :]]`.
        """
        return np.concatenate(
            [axis.take(point[axis.variable]) for axis in self.row_axes(role)], axis=1
        )

    def with_rows(
        self, point: Sequence[NDArray], rows: NDArray, role: Role | None = None
    ) -> list[NDArray]:
        """The point with the butterflies replaced: the exact inverse of `rows`.

        Args:
            point: Arrays aligned with `WeightSpace.variables`; not changed.
            rows: Array of shape `(size, features)`.
            role: As in `rows`.

        Returns:
            A new point. Arrays that the group does not touch are those of `point`, not copies.

        Raises:
            ValueError: If `rows` has another shape than `self.rows(point, role)`.
        """
        axes = self.row_axes(role)
        widths = [axis.width(point[axis.variable]) for axis in axes]
        expected = (self.size, sum(widths))
        if np.shape(rows) != expected:
            raise ValueError(
                f"The rows of the group '{self.name}' must have shape {expected}, as group.rows "
                f"gives them. Received: shape {np.shape(rows)}."
            )
        changed = list(point)
        pieces = np.split(rows, np.cumsum(widths)[:-1], axis=1)
        for axis, piece in zip(axes, pieces, strict=True):
            changed[axis.variable] = axis.put(changed[axis.variable], piece)
        return changed

    def row_axes(self, role: Role | None = None) -> list[UnitAxis]:
        """The axes that make up the rows: one for each trained weight, in order.

        Where the units lie along two axes of one weight (a recurrent kernel, or a square kernel on
        a residual stream), each entry belongs to two units; it then counts for the unit that it
        leads into.
        """
        chosen: dict[int, UnitAxis] = {}
        for axis in self.axes:
            wanted = axis.trainable and role in (None, axis.role)
            if wanted and (axis.variable not in chosen or chosen[axis.variable].role == "out"):
                chosen[axis.variable] = axis
        return list(chosen.values())
