"""Rules for activations, dropout and other operations on each entry alone."""

from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import keras
import numpy as np

from mc_keras.units.call import Call
from mc_keras.units.tensors import UnitTensor, combine, hold, mix


def unchanged(call: Call) -> UnitTensor:
    """An operation on each entry alone: the units stay where they are."""
    return call.input


def elementwise(call: Call) -> UnitTensor:
    """An operation on the entries at the same index of several tensors or constants."""
    result = UnitTensor(())
    for value in (*call.args, *call.kwargs.values()):
        if not isinstance(value, UnitTensor):
            value = UnitTensor(tuple(np.shape(value)))
        result = combine(call.places, result, value)
    return result


def masking(call: Call) -> UnitTensor:
    """Steps at which no unit has another value than the mask's."""
    return mix(call.places, call.input, [-1])


def prelu(call: Call) -> UnitTensor:
    """Slopes of the shape of one sample, with size 1 along shared axes."""
    rank = len(call.input.shape)
    return call.scale(call.input, call.op.alpha, list(range(1, rank)))


def softmax(call: Call) -> UnitTensor:
    """A softmax along `axis`, one or several, of a layer or operation; a mask may be given."""
    axis = call.op.axis
    masked = reduce(lambda x, mask: combine(call.places, x, mask), call.inputs)
    return mix(call.places, masked, axis if isinstance(axis, list | tuple) else [axis])


def activation(call: Call) -> UnitTensor:
    """The `Activation` layer."""
    return activated(call, call.input, call.op.activation)


def function(call: Call) -> UnitTensor:
    """The `Lambda` layer, of a function of each entry alone."""
    if _symmetry(call.op.function) != "entries":
        raise call.unsupported("its function is not seen to work on each entry alone")
    return call.input


def rescaling(call: Call) -> UnitTensor:
    """A scale and an offset, each one number or one for each channel."""
    if np.ndim(call.op.scale) or np.ndim(call.op.offset):
        return hold(call.places, call.input, range(len(call.input.shape)))
    return call.input


def activated(call: Call, tensor: UnitTensor, function: Callable[[Any], Any] | None) -> UnitTensor:
    """`tensor` after an activation function, on each entry alone or symmetric in the last axis."""
    if function is None or function is keras.activations.linear:
        return tensor
    symmetry = _symmetry(function)
    if symmetry == "none":
        name = getattr(function, "__name__", repr(function))
        raise call.unsupported(f"its activation '{name}' treats units differently")
    return tensor if symmetry == "entries" else mix(call.places, tensor, [-1])


@lru_cache(maxsize=256)
def _symmetry(function: Callable[[Any], Any]) -> str:
    """Which reorderings a function commutes with: of all "entries", of the "last axis", or "none".

    Any callable may be an activation, so this is tried on an array rather than looked up.
    """
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(keras.backend.floatx())

    def value(array: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(array)))

    try:
        y = value(x)
    except Exception:
        return "none"
    if y.shape != x.shape:
        return "none"
    shuffle = np.random.default_rng(1).permutation(x.size)
    reorderings = {
        "entries": lambda array: array.ravel()[shuffle].reshape(array.shape),
        "last axis": lambda array: array[[3, 0, 4, 1, 2]][:, [5, 2, 6, 0, 3, 1, 4]],
    }
    for name, reorder in reorderings.items():
        if np.allclose(value(reorder(x)), reorder(y), rtol=1e-4, atol=1e-6):
            return name
    return "none"
