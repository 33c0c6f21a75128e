"""Rules for recurrent layers: the weights of a cell hold one block of units for each gate."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.call import IN, OUT, Call
from mc_keras.units.rules.activations import activated
from mc_keras.units.tensors import UnitTensor, along, combine, concatenate, hold

NUM_GATES = {
    keras.layers.SimpleRNNCell: 1,
    keras.layers.GRUCell: 3,
    keras.layers.LSTMCell: 4,
}
NUM_CONVOLUTIONAL_GATES = 4


def recurrent(call: Call) -> list[UnitTensor]:
    """`SimpleRNN`, `GRU`, `LSTM`, and `RNN` of their cells, stacked or not."""
    layer = call.op
    step = hold(call.places, call.input, [1])
    step = UnitTensor((step.shape[0], *step.shape[2:]), tuple(f[:, 0] for f in step.factors))
    cells = getattr(layer.cell, "cells", [layer.cell])
    units = []
    for cell in cells:
        if type(cell) not in NUM_GATES:
            raise call.unsupported(f"its cell is a {type(cell).__name__}")
        state = (step.shape[0], cell.units)
        made = _cell(call, cell, step, NUM_GATES[type(cell)], state, channel=1)
        step = call.with_units(2, 1, made)
        units.append((made, len(keras.tree.flatten(cell.state_size))))
    return _outputs(call, units, lambda rank, made: call.with_units(rank, rank - 1, made))


def convolutional_recurrent(call: Call) -> list[UnitTensor]:
    """`ConvLSTM1D`, `2D` and `3D`."""
    cell, rank = call.op.cell, len(call.input.shape)
    first = cell.data_format == "channels_first"
    channel = 2 if first else rank - 1
    step = hold(call.places, call.input, [a for a in range(1, rank) if a != channel])
    units = call.units_along(step, channel)
    vector = call.with_units(2, 1, units)
    state = call.shapes[0][:1] + call.shapes[0][2 - rank :]
    at = 1 if first else len(state) - 1
    made = _cell(call, cell, vector, NUM_CONVOLUTIONAL_GATES, state, channel=at)

    def laid(rank_out: int, made: NDArray) -> UnitTensor:
        has_time = rank_out == rank
        return call.with_units(rank_out, (1 + has_time) if first else rank_out - 1, made)

    return _outputs(call, [(made, 2)], laid)


def bidirectional(call: Call) -> list[UnitTensor]:
    """Two recurrent layers, whose outputs are merged."""
    wrapper = call.op
    states = call.argument("initial_state", 1)
    halves = [None, None]
    if states is not None:
        half = len(states) // 2
        halves = [states[:half], states[half:]]
    forward, backward = (
        keras.tree.flatten(call.apply(layer, call.input, initial_state=half))
        for layer, half in zip((wrapper.forward_layer, wrapper.backward_layer), halves, strict=True)
    )
    outputs = [forward[0], backward[0]]
    if wrapper.merge_mode == "concat":
        outputs = [concatenate(call.places, outputs, -1)]
    elif wrapper.merge_mode is not None:
        outputs = [combine(call.places, *outputs)]
    return [*outputs, *forward[1:], *backward[1:]]


def time_distributed(call: Call) -> UnitTensor:
    """A layer applied at every step alone."""
    inputs = hold(call.places, call.input, [1])
    step = UnitTensor((inputs.shape[0], *inputs.shape[2:]), tuple(f[:, 0] for f in inputs.factors))
    output = call.apply(call.op.layer, step)
    shape = (output.shape[0], inputs.shape[1], *output.shape[1:])
    return UnitTensor(shape, tuple(np.expand_dims(f, 1) for f in output.factors))


def _cell(
    call: Call,
    cell: Any,
    step: UnitTensor,
    num_gates: int,
    state: tuple[int | None, ...],
    channel: int,
) -> NDArray:
    """Tie the weights of a cell to its units; returns the units.

    Args:
        call: The call of the layer.
        cell: The cell.
        step: What the cell reads at one step, units along the last axis.
        num_gates: Number of blocks along the last axis of the kernels.
        state: Shape of a state of the cell.
        channel: Its axis of units.
    """
    rank = len(step.shape)
    combine(call.places, step, along(rank - 1, call.weight(cell.kernel, {-2: OUT}), rank))
    units = call.weight_places(cell.recurrent_kernel, -2, OUT)
    for weight in (cell.kernel, cell.recurrent_kernel, cell.bias):
        if weight is not None:
            gates = call.weight_places(weight, -1, IN).reshape(num_gates, -1)
            call.places.tie(gates, units)
            call.places.mark(gates, np.arange(num_gates)[:, None])
    before = UnitTensor(state, call.with_units(len(state), channel, units).factors)
    for function in (cell.activation, getattr(cell, "recurrent_activation", None)):
        after = activated(call, before, function)
        if after is not before:  # The result is multiplied with, or becomes, the state.
            combine(call.places, before, after)
    return units


def _outputs(
    call: Call,
    units: Sequence[tuple[NDArray, int]],
    laid: Callable[[int, NDArray], UnitTensor],
) -> list[UnitTensor]:
    """The outputs and states of a recurrent layer; initial states are tied to the units.

    Args:
        call: The call.
        units: For each cell, its units and its number of states.
        laid: Makes a tensor of a given rank out of units.
    """
    made = [cell_units for cell_units, num_states in units for _ in range(num_states)]
    for state, own in zip(call.tensors("initial_state", 1), made, strict=False):
        combine(call.places, state, laid(len(state.shape), own))
    last = units[-1][0]
    return [laid(len(shape), own) for shape, own in zip(call.shapes, [last, *made], strict=False)]
