"""Networks with one hidden layer as a set of rows, one for each hidden unit."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.units.rows import Rows, only_butterflies
from mc_keras.weight_space import WeightSpace, check_finite


def rows_layout(space: WeightSpace) -> Rows:
    """Which weights make the row of a hidden unit.

    Raises:
        ValueError: If the network has another number of hidden layers than one.
    """
    rows = only_butterflies(space)
    if rows is None:
        raise ValueError(
            f"A learned connection maps the units of networks with one hidden layer, two Dense "
            f"layers one after the other; '{space.model.name}' is another network: connect it by "
            "a method for any network, such as 'ot' or 'bezier'."
        )
    return rows


def pack(point: Sequence[Any], axes: Sequence[tuple[int, int]]) -> Any:
    """The rows of a point, shape `(units, weights of a unit)`.

    Args:
        point: Arrays or tensors.
        axes: Numbers of the arrays that the rows are in, and the axis of the units in each.
    """
    ops = np if isinstance(point[0], np.ndarray) else keras.ops
    parts = []
    for index, axis in axes:
        array = ops.moveaxis(point[index], axis, 0)
        parts.append(ops.reshape(array, (array.shape[0], -1)))
    return ops.concatenate(parts, axis=1)


def unpack(
    rows: Any, axes: Sequence[tuple[int, int]], shapes: Sequence[Sequence[int]]
) -> dict[int, Any]:
    """The arrays that rows are made of, by their number in the point; undoes `pack`.

    Args:
        rows: Shape `(units, weights of a unit)`.
        axes: As for `pack`.
        shapes: Shape of each array of the point.
    """
    ops = np if isinstance(rows, np.ndarray) else keras.ops
    arrays, first = {}, 0
    for index, axis in axes:
        shape = list(shapes[index])
        units = shape.pop(axis)
        last = first + math.prod(shape)
        part = ops.reshape(rows[:, first:last], (units, *shape))
        arrays[index] = ops.moveaxis(part, 0, axis)
        first = last
    return arrays


def check_finite_rows(rows: np.ndarray) -> None:
    """Raise ValueError if rows, `(rows, weights of a unit)`, hold NaN or infinity."""
    broken = ~np.isfinite(rows).all(axis=1)
    if broken.any():
        raise ValueError(
            f"A flow learns from rows of finite weights, received NaN or infinity in "
            f"{broken.sum()} of {len(rows)} rows, the first of them number {broken.argmax()}: "
            "leave out the networks whose training diverged."
        )


def population_rows(networks: Sequence[keras.Model]) -> np.ndarray:
    """The rows of all networks of a population, shape `(networks, units, weights of a unit)`.

    Raises:
        TypeError: If they are not Keras models.
        ValueError: If they are fewer than two, differ in architecture, have another number of
            hidden layers than one, or hold NaN.
    """
    networks = list(networks)
    for network in networks:
        if not isinstance(network, keras.Model):
            raise TypeError(f"Expected Keras models, received {type(network).__name__}.")
    if len(networks) < 2:
        raise ValueError(
            f"A connection is learned from at least two networks, received {len(networks)}: train "
            "more of them, such as by mc-train --count=16."
        )
    rows = []
    for number, network in enumerate(networks):
        check_same_architecture(networks[0], network)
        space = WeightSpace(network)
        layout = rows_layout(space)
        point = space.read()
        check_finite(point, space, f"network {number} of the population, a")
        rows.append(pack(point, layout.axes))
    return np.stack(rows)
