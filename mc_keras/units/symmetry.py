"""Which reorderings of its input a function commutes with, found by trying it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.tensors import UnitTensor

Order = Callable[[int], NDArray]
Reorder = Callable[[NDArray], NDArray]


def symmetry_of(function: Callable, given: Any) -> Literal["entries"] | list[int] | None:
    """Which reorderings of its input a function commutes with.

    The function is called on random arrays of the shapes in `given`, with 3 for sizes that are
    unknown. The answer holds for these shapes, as far as the function has no state and does not
    branch on values. An exchange of two neighbours and a shift by one make up all reorderings.

    Returns:
        "entries" if it commutes with all reorderings of the entries; the axes along which it
        commutes with all reorderings; `None` if the result is not one array of the same shape.
    """
    leaves = keras.tree.flatten(given)
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=[size or 3 for size in leaf.shape]).astype(keras.backend.floatx())
        for leaf in leaves
        if isinstance(leaf, UnitTensor)
    ]

    def value(reorder: Reorder) -> NDArray:
        reordered = (keras.ops.convert_to_tensor(reorder(array)) for array in arrays)
        filled = [next(reordered) if isinstance(leaf, UnitTensor) else leaf for leaf in leaves]
        return keras.ops.convert_to_numpy(function(keras.tree.pack_sequence_as(given, filled)))

    def commutes(reorder: Reorder) -> bool:
        return np.allclose(value(reorder), reorder(before), rtol=1e-4, atol=1e-6, equal_nan=True)

    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        before = value(lambda array: array)
    except Exception:
        return None
    if before.shape != shape:
        return None
    orders = (_exchange, _shift)
    same_shape = all(array.shape == shape for array in arrays)
    if same_shape and all(commutes(partial(_flat_in_order, order=order)) for order in orders):
        return "entries"
    return [
        axis
        for axis in range(len(shape))
        if all(
            commutes(partial(_in_order, order=order, axis=axis - len(shape))) for order in orders
        )
    ]


def _in_order(array: NDArray, order: Order, axis: int) -> NDArray:
    """The array in another order along a negative axis, unchanged if its rank is too low."""
    return array.take(order(array.shape[axis]), axis) if -axis <= array.ndim else array


def _flat_in_order(array: NDArray, order: Order) -> NDArray:
    return _in_order(array.reshape(-1), order, -1).reshape(array.shape)


def _exchange(size: int) -> NDArray:
    order = np.arange(size)
    order[:2] = order[:2][::-1]
    return order


def _shift(size: int) -> NDArray:
    return np.roll(np.arange(size), 1)
