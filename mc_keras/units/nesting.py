"""Groups within the units of another group: the dimensions within the heads of attention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.groups import UnitAxis, UnitGroup


@dataclass(frozen=True)
class Nest:
    """A group whose units hold groups of their own.

    Attributes:
        outer: Number of the group.
        inner: For each of its units the numbers of the groups within it, in the same order for
            all units: group `inner[u][k]` plays the part in unit `u` that `inner[v][k]` plays in
            unit `v`.
    """

    outer: int
    inner: tuple[tuple[int, ...], ...]

    def unit_of(self, number: int) -> tuple[int, int] | None:
        """The unit that holds a group, and the group's place in it; `None` if none does."""
        for unit, numbers in enumerate(self.inner):
            if number in numbers:
                return unit, numbers.index(number)
        return None


def find_nests(groups: Sequence[UnitGroup], point: Sequence[NDArray]) -> list[Nest]:
    """The groups that hold others, each after all groups within it.

    Args:
        groups: The groups of a model.
        point: Arrays aligned with `WeightSpace.variables`, for their shapes.
    """
    nests = []
    for number, group in enumerate(groups):
        held: list[list[int]] = [[] for _ in range(group.size)]
        for other, inside in enumerate(groups):
            unit = _holder(group, inside, point) if other != number else None
            if unit is not None:
                held[unit].append(other)
        if held[0] and len({len(numbers) for numbers in held}) == 1:
            nests.append(Nest(number, tuple(map(tuple, held))))
    return nests


def _holder(outer: UnitGroup, inner: UnitGroup, point: Sequence[NDArray]) -> int | None:
    """The one unit of `outer` that holds all places of `inner`, or `None`."""
    units: set[int] = set()
    for axis in inner.axes:
        around = [other for other in outer.axes if _is_around(other, axis)]
        if not around:
            return None
        length, *within = point[axis.variable].shape[axis.axis : axis.axis + axis.merged]
        owner = np.full(length, -1)
        owner[around[0].positions] = np.arange(outer.size)[:, None]
        units.update(owner[axis.positions // int(np.prod(within))].ravel().tolist())
    return units.pop() if len(units) == 1 and -1 not in units else None


def _is_around(outer: UnitAxis, inner: UnitAxis) -> bool:
    """Whether both lie along one axis of one trained weight, the outer along this axis alone."""
    same = (outer.variable, outer.axis) == (inner.variable, inner.axis)
    return same and outer.trainable and inner.trainable and outer.merged == 1
