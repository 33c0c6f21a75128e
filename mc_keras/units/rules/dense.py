"""Rules for dense layers and embeddings."""

from mc_keras.units.call import IN, OUT, Call
from mc_keras.units.rules.activations import activated
from mc_keras.units.tensors import UnitTensor, einsum, hold


def dense(call: Call) -> UnitTensor:
    """Kernel `(inputs, units)` on the last axis, bias `(units,)`."""
    layer = call.op
    kernel = call.weight(layer.kernel, {0: OUT, 1: IN})
    outputs = einsum(call.places, "...i,io->...o", call.input, kernel=kernel)
    outputs = call.scale(outputs, layer.bias, [-1])
    return activated(call, outputs, layer.activation)


def einsum_dense(call: Call) -> UnitTensor:
    """Any `einsum` of the inputs and a kernel; letters that only these two have are read."""
    layer = call.op
    equation, made = layer.equation.split("->")
    letters = equation.split(",")[1]
    roles = {i: IN if letter in made else OUT for i, letter in enumerate(letters)}
    kernel = call.weight(layer.kernel, roles)
    outputs = einsum(call.places, layer.equation, call.input, kernel=kernel)
    if layer.bias is not None:
        rank = len(layer.bias.shape)
        outputs = call.scale(outputs, layer.bias, list(range(-rank, 0)))
    return activated(call, outputs, layer.activation)


def embedding(call: Call) -> UnitTensor:
    """Table `(words, units)`; the words hold still."""
    rank = len(call.shapes[0])
    hold(call.places, call.input, range(rank - 1))
    # The table may be read by other layers, whose rules know of no words.
    call.places.pin(call.weight_places(call.op.embeddings, 0, IN))
    units = call.weight_places(call.op.embeddings, 1, IN)
    return call.with_units(rank, rank - 1, units)


def reversible_embedding(call: Call) -> UnitTensor:
    """An embedding, or with `reverse=True` the product with its table."""
    layer = call.op
    if not call.argument("reverse", 1, default=False):
        return embedding(call)
    if layer.tie_weights:
        table = call.weight(layer.embeddings, {1: OUT, 0: IN})
    else:
        table = call.weight(layer.reverse_embeddings, {0: OUT, 1: IN})
    return einsum(call.places, "...i,io->...o", call.input, kernel=table)
