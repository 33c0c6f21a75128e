"""Squared distances of the butterflies of two networks, followed while the units of one move."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.groups import UnitGroup
from mc_keras.units.places import Role


def butterfly_costs(
    group: UnitGroup,
    start: Sequence[NDArray],
    end: Sequence[NDArray],
    role: Role | None = None,
) -> NDArray[np.float64]:
    """Squared Euclidean distance of each butterfly of `start` to each of `end`, in float64.

    Shape `(size, size)`, rows for `start`. See `UnitGroup.rows` for `role`.
    """
    return squared_distances(group.rows(start, role), group.rows(end, role))


def squared_distances(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Squared Euclidean distance of each row of `a` to each row of `b`, in float64."""
    return _costs(a, b, _products(a, b))


class Distances:
    """`butterfly_costs` of networks of which the second is reordered between two questions.

    When the units of one group are reordered, few weights of the butterflies of its neighbours
    change places, the fewer the nearer the matching is to its end: only for these are products
    formed again, of the butterflies that are kept from the last question.

    Args:
        start: The point of the first network.
    """

    def __init__(self, start: Sequence[NDArray]):
        self._start = start
        self._kept: dict[tuple[UnitGroup, Role | None], _Products] = {}

    def __call__(
        self, group: UnitGroup, end: Sequence[NDArray], role: Role | None
    ) -> NDArray[np.float64]:
        """The distances, of shape `(size, size)`."""
        a, b = (group.rows(point, role) for point in (self._start, end))
        kept = self._kept.setdefault((group, role), _Products())
        kept.renew(a, b)
        return _costs(a, b, kept.products)

    def reorder(self, group: UnitGroup, order: NDArray[np.int64]) -> None:
        """Take note that unit `u` of the second network is now the one that was `order[u]`."""
        for (other, _), kept in self._kept.items():
            if other is group:
                kept.rows, kept.products = kept.rows[order], kept.products[:, order]


class _Products:
    """Inner products of rows of the first network with rows of the second, in float64."""

    def __init__(self) -> None:
        self.rows = np.zeros((0, 0), "float32")
        self.products = np.zeros((0, 0))

    def renew(self, a: NDArray, b: NDArray) -> None:
        """Go over to the rows `b` of the second network."""
        changed = np.arange(b.shape[1])
        if self.rows.shape == b.shape:
            changed = np.flatnonzero((b != self.rows).any(0))
        if 2 * changed.size > b.shape[1]:
            self.products = _products(a, b)
        elif changed.size:
            step = np.subtract(b[:, changed], self.rows[:, changed], dtype="float64")
            self.products += _products(a[:, changed], step)
        self.rows = b


def _products(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    return a.astype("float64") @ b.astype("float64").T


def _costs(a: NDArray, b: NDArray, products: NDArray[np.float64]) -> NDArray[np.float64]:
    costs = np.multiply(products, -2)
    costs += np.sum(np.square(a, dtype="float64"), 1)[:, None]
    costs += np.sum(np.square(b, dtype="float64"), 1)
    return np.maximum(costs, 0, out=costs)
