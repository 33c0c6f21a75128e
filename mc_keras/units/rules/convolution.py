"""Rules for convolutions and pooling. Units are channels; positions in space hold still."""

import keras
import numpy as np

from mc_keras.units.call import IN, OUT, Call
from mc_keras.units.rules.activations import activated
from mc_keras.units.tensors import UnitTensor, along, combine, distinct, hold, reduce


def channel_axis(call: Call) -> int:
    """Number of the channel axis of the input of a convolution or pooling layer.

    Layers of one kind of input only have no `data_format`; their channels come last.
    """
    data_format = (
        getattr(call.op, "data_format", "channels_last") or keras.config.image_data_format()
    )
    return 1 if data_format == "channels_first" else len(call.input.shape) - 1


def spatial_axes(call: Call) -> list[int]:
    """Numbers of the axes that are neither the batch's nor the channels'."""
    return [a for a in range(1, len(call.input.shape)) if a != channel_axis(call)]


def convolution(call: Call) -> UnitTensor:
    """Kernel `(..., inputs / groups, filters)`, bias `(filters,)`."""
    layer = call.op
    if layer.groups > 1:
        return _grouped(call)
    return _convolved(call, layer.kernel, reads=-2, makes=-1)


def transposed_convolution(call: Call) -> UnitTensor:
    """Kernel `(..., filters, inputs)`, bias `(filters,)`."""
    return _convolved(call, call.op.kernel, reads=-1, makes=-2)


def depthwise_convolution(call: Call) -> UnitTensor:
    """Kernel `(..., inputs, multiplier)`; input `i` makes `multiplier` outputs in a row."""
    units = _depthwise_units(call, call.op.kernel)
    return _finished(call, units)


def separable_convolution(call: Call) -> UnitTensor:
    """A depthwise kernel, then a pointwise one `(..., inputs * multiplier, filters)`."""
    layer = call.op
    units = _depthwise_units(call, layer.depthwise_kernel)
    call.places.tie(call.weight_places(layer.pointwise_kernel, -2, OUT), units)
    return _finished(call, call.weight_places(layer.pointwise_kernel, -1, IN))


def pooling(call: Call) -> UnitTensor:
    """Pooling, padding, cropping, resizing: anything that works on each channel alone."""
    return hold(call.places, call.input, spatial_axes(call))


def global_pooling(call: Call) -> UnitTensor:
    """A mean or maximum over space."""
    return reduce(call.places, call.input, spatial_axes(call), keepdims=call.op.keepdims)


def _convolved(call: Call, kernel: object, reads: int, makes: int) -> UnitTensor:
    axis = channel_axis(call)
    inputs = hold(call.places, call.input, spatial_axes(call))
    weight = along(axis, call.weight(kernel, {reads: OUT}), len(inputs.shape))
    combine(call.places, inputs, weight)
    return _finished(call, call.weight_places(kernel, makes, IN))


def _grouped(call: Call) -> UnitTensor:
    """Units may move within their group of channels, or with it where it has one channel only."""
    layer, places = call.op, call.places
    *_, reads, filters = layer.kernel.shape
    groups, makes = layer.groups, filters // layer.groups
    inputs = hold(places, call.input, spatial_axes(call))
    units = call.units_along(inputs, channel_axis(call)).reshape(groups, reads)
    outputs = call.weight_places(layer.kernel, -1, IN)
    by_group = outputs.reshape(groups, makes)
    number = np.arange(groups)[:, None]
    if reads == 1:
        places.tie(by_group, units)
        places.mark(by_group, np.arange(makes))
    else:
        # Input i of group g is read by the entries (i, o) of the kernel, o an output of group g.
        entries = call.weight_places(layer.kernel, -2, OUT, merged=2).reshape(reads, groups, makes)
        places.tie(entries, units.T[:, :, None])
        places.mark(entries, np.arange(makes))
        places.mark(units, number)
        places.mark(by_group, number)
    return _finished(call, outputs)


def _depthwise_units(call: Call, kernel: keras.Variable) -> np.ndarray:
    inputs = hold(call.places, call.input, spatial_axes(call))
    units = call.units_along(inputs, channel_axis(call))
    call.places.tie(call.weight_places(kernel, -2, IN), units)
    return distinct(call.places, np.repeat(units, kernel.shape[-1]))


def _finished(call: Call, units: np.ndarray) -> UnitTensor:
    axis, shape = channel_axis(call), call.shapes[0]
    outputs = UnitTensor(shape, call.with_units(len(shape), axis, units).factors)
    outputs = call.scale(outputs, call.op.bias, [axis])
    return activated(call, outputs, call.op.activation)
