"""Rules for normalization layers: scales and shifts go with the units."""

import numpy as np

from mc_keras.units.call import IN, Call
from mc_keras.units.tensors import UnitTensor, hold, mix, varying


def batch_normalization(call: Call) -> UnitTensor:
    """Scale, shift and moving moments of each unit, those of batch renormalization too.

    Units along another axis than the layer's are read together where the moments are measured.
    """
    layer, outputs = call.op, call.input
    axis = layer.axis % len(outputs.shape)
    for factor in outputs.factors:
        if axis not in varying(factor):
            call.places.reduce(factor)
    for weight in layer.weights:
        outputs = call.scale(outputs, weight, [layer.axis])
    return outputs


def layer_normalization(call: Call) -> UnitTensor:
    """Moments over `axis`, one or several, with a scale and a shift of the same axes."""
    layer = call.op
    outputs = mix(call.places, call.input, layer.axis)
    outputs = call.scale(outputs, layer.gamma, layer.axis)
    return call.scale(outputs, layer.beta, layer.axis)


def rms_normalization(call: Call) -> UnitTensor:
    """A second moment over `axis`, with a scale."""
    layer = call.op
    return call.scale(mix(call.places, call.input, layer.axis), layer.scale, layer.axis)


def group_normalization(call: Call) -> UnitTensor:
    """Moments over groups of consecutive channels: units may move within their group.

    One group puts all units in it; as many groups as channels let them move freely.
    """
    layer, outputs = call.op, call.input
    axis = layer.axis % len(outputs.shape)
    channels = outputs.shape[axis]
    for factor in outputs.touching([axis]):
        if varying(factor) != [axis]:
            call.places.pin(factor)
        elif 1 < layer.groups < channels:
            call.places.mark(factor.ravel(), np.arange(channels) // (channels // layer.groups))
    alone = axis if layer.groups == channels else 0
    outputs = mix(call.places, outputs, [a for a in range(1, len(outputs.shape)) if a != alone])
    outputs = call.scale(outputs, layer.gamma, [axis])
    return call.scale(outputs, layer.beta, [axis])


def unit_normalization(call: Call) -> UnitTensor:
    """Division by the norm along `axis`, one or several, in a layer or an operation."""
    return mix(call.places, call.input, np.atleast_1d(call.op.axis).tolist())


def input_normalization(call: Call) -> UnitTensor:
    """The preprocessing layer `Normalization`, whose moments come from data: units hold still."""
    call.still(*call.op.weights)
    return hold(call.places, call.input, range(len(call.input.shape)))


def spectral_normalization(call: Call) -> UnitTensor:
    """A layer whose kernel is divided by its norm, found by power iteration.

    The singular vector has an entry for each index along the last axis of the kernel, and goes
    with the units if the layer has any along it. It may stay as it is where the units lie along
    other axes, as in a depthwise convolution: these are rows of the matrix whose norm is taken.
    """
    wrapper = call.op
    outputs = call.apply(wrapper.layer, *call.args)
    units = call.places.known_along(wrapper.kernel, -1)
    if units is None:
        call.still(wrapper.vector_u)
    else:
        call.places.tie(call.weight_places(wrapper.vector_u, 1, IN), units)
    return outputs


def layer_scale(call: Call) -> UnitTensor:
    """A scale of each unit."""
    return call.scale(call.input, call.op.gamma, [-1])
