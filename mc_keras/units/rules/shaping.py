"""Rules for layers that move entries: flatten, reshape, concatenate, merge."""

from functools import reduce as fold

import numpy as np

from mc_keras.units.call import Call
from mc_keras.units.tensors import (
    UnitTensor,
    combine,
    concatenate,
    einsum,
    hold,
    mix,
    reshape,
    transpose,
)


def flatten(call: Call) -> UnitTensor:
    """A unit with many positions becomes many entries; channels come last in memory."""
    inputs = call.input
    if call.op.data_format == "channels_first" and len(inputs.shape) > 2:
        inputs = transpose(inputs, [0, *range(2, len(inputs.shape)), 1])
    return _reshaped(call, inputs)


def reshaping(call: Call) -> UnitTensor:
    """Any reshape that keeps the order of the entries."""
    return _reshaped(call, call.input)


def permute(call: Call) -> UnitTensor:
    """The `Permute` layer, whose `dims` count from 1 after the batch axis."""
    return transpose(call.input, [0, *call.op.dims])


def repeat_vector(call: Call) -> UnitTensor:
    """A new axis after the batch axis, along which the tensor is repeated."""
    batch, units = call.input.shape
    factors = tuple(factor[:, None] for factor in call.input.factors)
    return UnitTensor((batch, call.op.n, units), factors)


def merge(call: Call) -> UnitTensor:
    """Add, Multiply, Maximum and the like: units at the same index are tied."""
    rank = max(len(tensor.shape) for tensor in call.inputs)
    aligned = [_raised(tensor, rank) for tensor in call.inputs]
    return fold(lambda a, b: combine(call.places, a, b), aligned)


def concatenation(call: Call) -> UnitTensor:
    """Units one after the other along `axis`, in a layer or an operation."""
    return concatenate(call.places, call.inputs, call.op.axis)


def dot(call: Call) -> UnitTensor:
    """The `Dot` layer: a sum over one axis of each of two tensors, sample by sample."""
    layer = call.op
    first, second = call.inputs
    axes = layer.axes if isinstance(layer.axes, list | tuple) else [layer.axes, layer.axes]
    letters = ["a" + "bcdefg"[: len(first.shape) - 1], "a" + "hijklm"[: len(second.shape) - 1]]
    i, j = axes[0] % len(first.shape), axes[1] % len(second.shape)
    letters = [text[:k] + "z" + text[k + 1 :] for text, k in zip(letters, (i, j), strict=True)]
    if layer.normalize:
        mix(call.places, first, [i])
        mix(call.places, second, [j])
    output = letters[0].replace("z", "") + letters[1].replace("z", "")[1:]
    product = einsum(call.places, f"{letters[0]},{letters[1]}->{output}", first, second)
    if len(output) > 1:
        return product
    return UnitTensor((*product.shape, 1), tuple(f[:, None] for f in product.factors))


def held(call: Call) -> UnitTensor:
    """An operation that depends on the order of the entries, such as a cumulative sum.

    All units hold still, those along other axes than its own as well.
    """
    for tensor in call.inputs:
        hold(call.places, tensor, range(len(tensor.shape)))
    return UnitTensor(call.shapes[0])


def _raised(tensor: UnitTensor, rank: int) -> UnitTensor:
    """The tensor with axes of size 1 after the batch axis, as merging layers do.

    Operations put them in front of it.
    """
    axes = tuple(range(1, 1 + rank - len(tensor.shape)))
    shape = (*tensor.shape[:1], *(1 for _ in axes), *tensor.shape[1:])
    return UnitTensor(shape, tuple(np.expand_dims(f, axes) for f in tensor.factors))


def _reshaped(call: Call, inputs: UnitTensor) -> UnitTensor:
    try:
        return reshape(call.places, inputs, call.shapes[0])
    except ValueError:
        raise call.unsupported(
            f"sizes that it needs are unknown, it reshapes {inputs.shape} to {call.shapes[0]}"
        ) from None
