"""Rules for attention layers: heads are units, and so are the dimensions within a head."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.call import IN, OUT, Call
from mc_keras.units.places import Role
from mc_keras.units.tensors import UnitTensor, along, combine, einsum, hold, lift


def multi_head_attention(call: Call) -> list[UnitTensor]:
    """Kernels `(inputs, heads, dimensions)`, and one `(heads, dimensions, ...)` at the output.

    The heads form one group; in each head the dimensions of query and key form one, those of the
    values another.
    """
    heads = call.op.num_heads
    gate = call.op._gate_dense if getattr(call.op, "_use_gate", False) else None
    return _multi_head(call, gate, heads, heads)


def grouped_query_attention(call: Call) -> list[UnitTensor]:
    """As multi-head attention, but several query heads in a row share a head of keys and values.

    Query heads that share one form a group; so do the shared heads, each with its query heads.
    """
    layer = call.op
    gate = layer._gate_dense if getattr(layer, "use_gate", False) else None
    return _multi_head(call, gate, layer.num_query_heads, layer.num_key_value_heads)


def attention(call: Call) -> list[UnitTensor]:
    """Dot-product attention without weights of its own, on `[query, value]` or with a key."""
    query, value, key = _query_value_key(call)
    einsum(call.places, "btd,bsd->bts", query, key)
    return _weighted(call, value)


def additive_attention(call: Call) -> list[UnitTensor]:
    """Attention by `sum(scale * tanh(query + key))`."""
    query, value, key = _query_value_key(call)
    both = combine(call.places, query, key)
    if call.op.scale is not None:
        both = call.scale(both, call.op.scale, [-1])
    einsum(call.places, "btd->bt", both)
    return _weighted(call, value)


def _query_value_key(call: Call) -> tuple[UnitTensor, UnitTensor, UnitTensor]:
    given = [hold(call.places, tensor, [1]) for tensor in call.tensors("inputs", 0)]
    return given[0], given[1], given[-1] if len(given) > 2 else given[1]


def _weighted(call: Call, value: UnitTensor) -> list[UnitTensor]:
    scores = [UnitTensor(shape) for shape in call.shapes[1:]]
    return [value, *scores]


def _multi_head(call: Call, gate: Any, num_heads: int, num_shared: int) -> list[UnitTensor]:
    layer, repeats = call.op, num_heads // num_shared
    (query,), (value,) = call.tensors("query", 0), call.tensors("value", 1)
    (key,) = call.tensors("key", 2) or [value]
    projections = [
        (layer._query_dense, query, repeats, "query_key"),
        (layer._key_dense, key, 1, "query_key"),
        (layer._value_dense, value, 1, "value"),
    ]
    if gate is not None:
        projections.append((gate, query, repeats, "value"))
    parts: list[tuple] = []
    for dense, tensor, count, dimensions in projections:
        rank = len(tensor.shape)
        inputs = hold(call.places, tensor, range(rank - 1))
        combine(call.places, inputs, along(rank - 1, call.weight(dense.kernel, {0: OUT}), rank))
        parts.append((dense.kernel, 1, IN, count, dimensions))
        if dense.bias is not None:
            parts.append((dense.bias, 0, IN, count, dimensions))
    output = layer._output_dense
    parts.append((output.kernel, 0, OUT, repeats, "value"))
    ties = _HeadTies(call, num_shared)
    for variable, axis, role, count, dimensions in parts:
        ties.tie_dimensions(variable, axis, role, count, dimensions)
    # What is held comes before what holds it, as groups are permuted in this order.
    for variable, axis, role, count, _ in parts:
        if count > 1:
            ties.tie_query_heads(variable, axis, role, count)
    for variable, axis, role, count, _ in parts:
        ties.tie_heads(variable, axis, role, count)
    if len(call.shapes) > 1:
        ties.pin_heads()
    made = call.weight(output.kernel, {axis: IN for axis in range(2, len(output.kernel.shape))})
    axes = list(range(-len(made.shape), 0))
    outputs = call.scale(lift(made, len(call.shapes[0])), output.bias, axes)
    return [outputs, *(UnitTensor(shape) for shape in call.shapes[1:])]


class _HeadTies:
    """Ties the heads, and the dimensions within heads, of the weights of one attention layer."""

    def __init__(self, call: Call, num_shared: int):
        self.call, self.num_shared = call, num_shared
        self.first: dict[str, NDArray] = {}

    def tie_dimensions(
        self, variable: Any, axis: int, role: Role, count: int, dimensions: str
    ) -> None:
        """Tie a weight with `count` heads for each shared head along `axis`, then dimensions."""
        places, shared = self.call.places, np.arange(self.num_shared)
        within = self.call.weight_places(variable, axis, role, level=dimensions, merged=2)
        within = within.reshape(self.num_shared, count, -1)
        places.mark(within, np.arange(count)[:, None])
        places.mark(within, shared[:, None, None])
        places.tie(within, self.first.setdefault(dimensions, within[:, :1]))

    def tie_heads(self, variable: Any, axis: int, role: Role, count: int) -> None:
        """Tie a weight with `count` heads for each shared head along `axis`."""
        places = self.call.places
        heads = self.call.weight_places(variable, axis, role, level="heads")
        heads = heads.reshape(self.num_shared, count)
        places.mark(heads, np.arange(count))
        places.tie(heads, self.first.setdefault("heads", heads[:, :1]))

    def tie_query_heads(self, variable: Any, axis: int, role: Role, count: int) -> None:
        """Tie the `count` heads of a weight that share a head along `axis`."""
        places, shared = self.call.places, np.arange(self.num_shared)
        queries = self.call.weight_places(variable, axis, role, level="query_heads")
        queries = queries.reshape(self.num_shared, count)
        places.mark(queries, shared[:, None])
        places.tie(queries, self.first.setdefault("query_heads", queries))

    def pin_heads(self) -> None:
        """Hold all heads still, as attention scores that are returned need."""
        for level in {"heads", "query_heads"} & self.first.keys():
            self.call.places.pin(self.first[level])
