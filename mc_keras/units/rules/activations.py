"""Rules for activations, dropout and other operations on each entry alone."""

from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import keras
import numpy as np

from mc_keras.units.call import Call, tensors_in
from mc_keras.units.symmetry import symmetry_of
from mc_keras.units.tensors import UnitTensor, combine, hold, mix, varying


def unchanged(call: Call) -> UnitTensor:
    """An operation on each entry alone: the units stay where they are."""
    return call.input


def elementwise(call: Call) -> UnitTensor:
    """An operation on the entries at the same index of several tensors or constants."""
    return reduce(lambda a, b: combine(call.places, a, b), call.inputs)


def masking(call: Call) -> UnitTensor:
    """Steps at which no unit has another value than the mask's."""
    return mix(call.places, call.input, [-1])


def prelu(call: Call) -> UnitTensor:
    """Slopes of the shape of one sample, with size 1 along shared axes."""
    rank = len(call.input.shape)
    return call.scale(call.input, call.op.alpha, list(range(1, rank)))


def softmax(call: Call) -> UnitTensor:
    """A softmax along `axis`, one or several, of a layer or operation; a mask may be given."""
    axis, given = call.op.axis, elementwise(call)
    if axis is None:
        axis = range(len(given.shape))
    return mix(call.places, given, axis if np.iterable(axis) else [axis])


def activation(call: Call) -> UnitTensor:
    """The `Activation` layer."""
    return activated(call, call.input, call.op.activation)


def function(call: Call) -> UnitTensor:
    """The `Lambda` layer, with the `arguments` that it was made with."""
    return _tried(call, call.op.call, call.argument("inputs", 0), "its function")


def rescaling(call: Call) -> UnitTensor:
    """A scale and an offset, each one number or one for each channel."""
    if np.ndim(call.op.scale) or np.ndim(call.op.offset):
        return hold(call.places, call.input, range(len(call.input.shape)))
    return call.input


def activated(call: Call, tensor: UnitTensor, function: Callable[[Any], Any] | None) -> UnitTensor:
    """`tensor` after an activation function, which may be any callable, a layer too."""
    if function is None or _is_known_elementwise(function):
        return tensor
    if function in _SOFTMAXES:
        return mix(call.places, tensor, [-1])
    if isinstance(function, keras.Layer):
        return call.apply(function, tensor)
    name = getattr(function, "__name__", repr(function))
    return _tried(call, function, tensor, f"its activation '{name}'")


_SOFTMAXES = (keras.activations.softmax, keras.activations.log_softmax, keras.activations.sparsemax)


def _is_known_elementwise(function: Callable) -> bool:
    """Whether an activation of Keras works on each entry alone: at all sizes then."""
    name = getattr(function, "__name__", "")
    return getattr(keras.activations, name, None) is function and _is_elementwise(function)


@lru_cache
def _is_elementwise(function: Callable) -> bool:
    return symmetry_of(function, UnitTensor((5, 7))) == "entries"


def _tried(call: Call, function: Callable, given: Any, what: str) -> UnitTensor:
    """The result of a function whose effect on units is found by trying it on arrays.

    Args:
        call: The call.
        function: Maps `given`, with arrays in place of tensors, to one tensor.
        given: A tensor or a structure of them.
        what: Name of the function, for messages.
    """
    symmetry = symmetry_of(function, given)
    if symmetry is None:
        raise call.unsupported(f"{what} fails on an array of random numbers, or changes its shape")
    joint = reduce(lambda a, b: combine(call.places, a, b), tensors_in(given))
    if symmetry == "entries":
        return joint
    # Along several axes at once the function may be symmetric in each, but not in pairs of indices.
    if any(varying(factor) not in [[axis] for axis in symmetry] for factor in joint.factors):
        raise call.unsupported(f"{what} treats units differently")
    for axis in symmetry:
        mix(call.places, joint, [axis])
    return joint
