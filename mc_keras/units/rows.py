"""Rows: the weights that belong to one unit, as the distribution-based methods see them."""

import dataclasses
import math
from collections import defaultdict
from typing import Any

import keras
import numpy as np
from keras import layers

from mc_keras.units.search import unit_groups
from mc_keras.weight_space import WeightSpace

_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Weights of `size` units: each weight array has its units along one axis.

    Attributes:
        name: Path of the layer or group.
        size: Number of units.
        axes: Number of the variable in `WeightSpace.variables`, and the axis of its units; two
            axes, in row-major order, for depthwise kernels of a multiplier above 1.
    """

    name: str
    size: int
    axes: tuple[tuple[int, Any], ...]


def incoming_rows(space: WeightSpace) -> list[Rows]:
    """Rows of the incoming weights of every unit, layer by layer.

    The units of a layer are its output features: the last axis of a Dense or convolution kernel
    (of a transposed one the axis before the last) with the bias riding along, the channels of a
    normalisation, the channels times the multiplier of a depthwise kernel. Weights whose units are
    a single one, or that have no axes, belong to no row.
    """
    axes: dict[tuple, list[tuple[int, Any]]] = defaultdict(list)
    for index, (variable, layer) in enumerate(zip(space.variables, space.owners, strict=True)):
        axis = _unit_axis(variable, layer)
        shape = tuple(variable.shape)
        size = math.prod(shape[i] for i in _axes(axis)) if shape else 1
        if size > 1:
            first = _is_first_of_two(variable, layer)
            axes[id(layer), layer.path, size, first].append((index, axis))
    return [Rows(name, size, tuple(pairs)) for (_, name, size, _), pairs in axes.items()]


def _unit_axis(variable: keras.Variable, layer: keras.Layer) -> int | tuple[int, int]:
    last = len(variable.shape) - 1
    if last > 0 and isinstance(layer, _TRANSPOSED):
        return last - 1
    if last > 0 and (isinstance(layer, _DEPTHWISE) or _is_first_of_two(variable, layer)):
        return last - 1 if variable.shape[last] == 1 else (last - 1, last)
    return last


def _is_first_of_two(variable: keras.Variable, layer: keras.Layer) -> bool:
    """Whether a kernel is the depthwise one of a separable convolution."""
    return variable is getattr(layer, "depthwise_kernel", None)


def _axes(axis: Any) -> tuple[int, ...]:
    return axis if isinstance(axis, tuple) else (axis,)


def along(values: np.ndarray, axis: Any, shape: tuple[int, ...]) -> np.ndarray:
    """One value for each unit, shaped to broadcast against `shape` with units along `axis`."""
    own = _axes(axis)
    return values.reshape([size if i in own else 1 for i, size in enumerate(shape)])


def norms(point: list[np.ndarray], rows: Rows) -> np.ndarray:
    """L2 norms of the rows, in float64, shape `(size,)`."""
    return np.sqrt(dot(point, point, rows))


def dot(a: list[np.ndarray], b: list[np.ndarray], rows: Rows) -> np.ndarray:
    """Inner product of each row of `a` with the same row of `b`, in float64, shape `(size,)`."""
    total = np.zeros(rows.size)
    for index, axis in rows.axes:
        product = np.multiply(a[index], b[index], dtype="float64")
        own = _axes(axis)
        total += product.sum(tuple(i for i in range(product.ndim) if i not in own)).ravel()
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

    A network counts if it is two Dense layers, one after the other, nothing else has weights, and
    the second reads the units of the first in their order.
    """
    owners = list(dict.fromkeys(space.owners))
    if len(owners) != 2 or any(type(layer) is not layers.Dense for layer in owners):
        return None
    hidden, output = owners
    size = hidden.units
    if output.kernel.shape[0] != size or space.model.output_shape[-1] != output.units:
        return None
    axes = [
        (index, 0 if layer is output else len(variable.shape) - 1)
        for index, (variable, layer) in enumerate(zip(space.variables, space.owners, strict=True))
        if layer is hidden or len(variable.shape) == 2
    ]
    if not _are_units(space, size, axes):
        return None
    return Rows(hidden.path, size, tuple(axes))


def _are_units(space: WeightSpace, size: int, axes: list[tuple[int, int]]) -> bool:
    """Whether any permutation may act on these axes; true of a model whose graph is not known."""
    try:
        groups = unit_groups(space.model, "end")
    except (TypeError, ValueError):
        return True
    in_order = np.arange(size)[:, None]
    return any(
        {(axis.variable, axis.axis) for axis in group.axes if axis.trainable} == set(axes)
        and all(np.array_equal(axis.positions, in_order) for axis in group.axes)
        for group in groups
    )
