"""Permutations of hidden units applied to a point.

A permutation is an integer array of shape `(size,)`: unit `u` of the result is unit
`permutation[u]` of the given point, as in `numpy.take`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mc_keras.units.groups import UnitGroup


def permute(
    group: UnitGroup,
    permutation: ArrayLike,
    point: Sequence[NDArray],
    state: Sequence[NDArray] | None = None,
) -> tuple[list[NDArray], list[NDArray] | None]:
    """Reorder the units of a group. The function of the network stays the same.

    Args:
        group: A group of the model.
        permutation: Integers of shape `(size,)`.
        point: Arrays aligned with `WeightSpace.variables`; not changed.
        state: Arrays aligned with `WeightSpace.state_variables`; not changed. The moving moments
            of batch normalization belong to the units, so a model that has them needs its state
            permuted with its point.

    Returns:
        The new point and state; `None` for the state if none was given.

    Raises:
        ValueError: If `permutation` does not hold each of `0 ... size - 1` once.
    """
    order = check_permutation(permutation, group)
    new_point = list(point)
    new_state = None if state is None else list(state)
    for axis in group.axes:
        arrays = new_point if axis.trainable else new_state
        if arrays is not None:
            arrays[axis.variable] = axis.permute(arrays[axis.variable], order)
    return new_point, new_state


def permute_all(
    groups: Sequence[UnitGroup],
    permutations: Sequence[ArrayLike],
    point: Sequence[NDArray],
    state: Sequence[NDArray] | None = None,
) -> tuple[list[NDArray], list[NDArray] | None]:
    """Reorder the units of several groups, one group after the other; see `permute`."""
    new_point, new_state = list(point), None if state is None else list(state)
    for group, permutation in zip(groups, permutations, strict=True):
        new_point, new_state = permute(group, permutation, new_point, new_state)
    return new_point, new_state


def check_permutation(permutation: ArrayLike, group: UnitGroup) -> NDArray[np.int64]:
    """The permutation as an array of integers.

    Raises:
        ValueError: If it does not hold each of `0 ... size - 1` once.
    """
    order = np.asarray(permutation)
    if order.shape != (group.size,) or not np.array_equal(np.sort(order), np.arange(group.size)):
        raise ValueError(
            f"A permutation of the group '{group.name}' holds each of 0 ... {group.size - 1} once. "
            f"Received: {order!r:.200}"
        )
    return order.astype(np.int64)
