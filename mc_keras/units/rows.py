"""Rows: the weights that belong to one unit, as the distribution-based methods see them."""

import dataclasses
from collections import defaultdict

import keras
import numpy as np

from mc_keras.weight_space import WeightSpace


@dataclasses.dataclass(frozen=True)
class Rows:
    """Weights of `size` units: each weight array has its units along one axis.

    Attributes:
        name: Path of the layer or group.
        size: Number of units.
        axes: Number of the variable in `WeightSpace.variables`, and the axis of its units.
    """

    name: str
    size: int
    axes: tuple[tuple[int, int], ...]


def incoming_rows(space: WeightSpace) -> list[Rows]:
    """Rows of the incoming weights of every unit, layer by layer.

    The units of a layer are its output features: the last axis of a Dense or convolution kernel
    with the bias riding along, the channels of a normalisation or a depthwise kernel. Weights
    whose units are a single one, or that have no axes, belong to no row.
    """
    axes = defaultdict(list)
    for index, (variable, layer) in enumerate(zip(space.variables, space.owners, strict=True)):
        shape = tuple(variable.shape)
        # A depthwise kernel (height, width, channels, 1) has its units on the axis before the last.
        axis = len(shape) - 2 if len(shape) > 1 and shape[-1] == 1 else len(shape) - 1
        if axis >= 0 and shape[axis] > 1:
            axes[id(layer), layer.path, shape[axis]].append((index, axis))
    return [Rows(name, size, tuple(pairs)) for (_, name, size), pairs in axes.items()]


def along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """One value for each unit, shaped to broadcast against an array with units along `axis`."""
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])


def norms(point: list[np.ndarray], rows: Rows) -> np.ndarray:
    """L2 norms of the rows, in float64, shape `(size,)`."""
    return np.sqrt(dot(point, point, rows))


def dot(a: list[np.ndarray], b: list[np.ndarray], rows: Rows) -> np.ndarray:
    """Inner product of each row of `a` with the same row of `b`, in float64, shape `(size,)`."""
    total = np.zeros(rows.size)
    for index, axis in rows.axes:
        product = np.multiply(a[index], b[index], dtype="float64")
        total += product.sum(tuple(i for i in range(product.ndim) if i != axis))
    return total


def rows_of(space: WeightSpace, kind: str = "auto") -> list[Rows]:
    """The rows that a method connects.

    Args:
        space: Weight space of the networks.
        kind: `"incoming"` for the incoming weights of every unit; `"auto"` for whole butterflies
            where the network has one hidden layer, incoming weights elsewhere.

    Raises:
        ValueError: If `kind` is unknown.
    """
    if kind not in ("auto", "incoming"):
        raise ValueError(f"Rows are 'auto' or 'incoming', received rows={kind!r}.")
    if kind == "auto":
        butterflies = only_butterflies(space)
        if butterflies is not None:
            return [butterflies]
    return incoming_rows(space)


def only_butterflies(space: WeightSpace) -> Rows | None:
    """The butterflies of a network with one hidden layer of units, or `None` for deeper networks.

    A network counts if it is two Dense layers, one after the other, and nothing else has weights.
    """
    layers = list(dict.fromkeys(space.owners))
    if len(layers) != 2 or any(type(layer) is not keras.layers.Dense for layer in layers):
        return None
    hidden, output = layers
    size = hidden.units
    if output.kernel.shape[0] != size or space.model.output_shape[-1] != output.units:
        return None
    axes = [
        (index, 0 if layer is output else len(variable.shape) - 1)
        for index, (variable, layer) in enumerate(zip(space.variables, space.owners, strict=True))
        if layer is hidden or len(variable.shape) == 2
    ]
    return Rows(hidden.path, size, tuple(axes))
