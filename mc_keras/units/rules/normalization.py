"""Rules for normalization layers: scales and shifts go with the units."""

import numpy as np

from mc_keras.units.call import IN, Call
from mc_keras.units.tensors import UnitTensor, hold, mix, varying


def batch_normalization(call: Call) -> UnitTensor:
    """Scale, shift and moving moments of each unit.

    Units along another axis than the layer's are read together where the moments are measured.
    """
    layer, outputs = call.op, call.input
    axis = layer.axis % len(outputs.shape)
    for factor in outputs.factors:
        if axis not in varying(factor):
            call.places.reduce(factor)
    for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
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
    """Division by the norm along `axis`, one or several."""
    axis = call.op.axis
    return mix(call.places, call.input, axis if isinstance(axis, list) else [axis])


def input_normalization(call: Call) -> UnitTensor:
    """The preprocessing layer `Normalization`, whose moments come from data: units hold still."""
    return hold(call.places, call.input, range(len(call.input.shape)))


def spectral_normalization(call: Call) -> UnitTensor:
    """A layer whose kernel is divided by its norm; the singular vector goes with the units."""
    wrapper = call.op
    outputs = call.apply(wrapper.layer, *call.args)
    made = call.weight_places(wrapper.kernel, -1, IN)
    call.places.tie(call.weight_places(wrapper.vector_u, 1, IN), made)
    return outputs


def layer_scale(call: Call) -> UnitTensor:
    """A scale of each unit."""
    return call.scale(call.input, call.op.gamma, [-1])
