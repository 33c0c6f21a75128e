"""The walk over the graph of a Keras model: the only file that reads Keras's private history.

`interpret` evaluates a Sequential or Functional model call by call with any kind of value: real
arrays give the outputs of the model, symbols give whatever the evaluation says. Nested models are
entered, so an evaluation sees layers and `keras.ops`, and of models those only that are given a
mask.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

Evaluate = Callable[[keras.Operation, tuple, dict, list[keras.KerasTensor], str], Sequence[Any]]


def is_graph(op: Any) -> bool:
    """Whether `op` is a built Sequential or Functional model, whose calls can be walked."""
    if isinstance(op, keras.Sequential):
        return op._functional is not None
    if not isinstance(op, keras.Function):
        return False
    calls = [cls for cls in type(op).__mro__ if "call" in vars(cls)]
    return calls[0].__module__.startswith("keras.")


def is_entered(op: Any, kwargs: dict) -> bool:
    """Whether a call is one of a graph, and `bind` tells all that it is given.

    A mask that is given to a nested model is told to no layer in it: that call stays whole.
    """
    return is_graph(op) and all(mask is None for mask in keras.tree.flatten(kwargs.get("mask")))


def interpret(
    model: keras.Model, inputs: Sequence[Any], evaluate: Evaluate, path: str = ""
) -> list[Any]:
    """Evaluate the graph of `model` in topological order.

    Args:
        model: A built Sequential or Functional model.
        inputs: One value for each of `model.inputs`.
        evaluate: Called as `evaluate(op, args, kwargs, outputs, path)` for each call of a layer
            or `keras.ops` operation, with the arguments of the call in which every symbolic
            tensor is replaced by its value; `outputs` are the symbolic outputs, `path` is the
            name of the layer after the names of the nested models that hold it. Returns one value
            per output.
        path: Prefix of all paths.

    Returns:
        One value for each of `model.outputs`.
    """
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}

    def fill(argument: Any) -> Any:
        return values[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

    for node in _ordered_nodes(model):
        args = keras.tree.map_structure(fill, node.arguments.args)
        kwargs = keras.tree.map_structure(fill, node.arguments.kwargs)
        op = node.operation
        name = f"{path}{op.name}"
        if is_entered(op, kwargs):
            given = bind(op, args, kwargs)
            # As Keras casts what a model is given.
            sources = bind(op, node.arguments.args, node.arguments.kwargs)
            for k, (source, tensor) in enumerate(zip(sources, op.inputs, strict=True)):
                if source.dtype != tensor.dtype:
                    given[k] = evaluate(_cast(source, tensor), (given[k],), {}, [tensor], name)[0]
            results: Sequence[Any] = interpret(op, given, evaluate, f"{name}/")
        else:
            results = evaluate(op, args, kwargs, node.outputs, name)
        values.update((id(t), v) for t, v in zip(node.outputs, results, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def called(op: keras.Operation, args: tuple, kwargs: dict) -> Any:
    """The outputs of a call as in inference, whatever a layer's own default for `training` is."""
    if isinstance(op, keras.Layer) and op._call_has_training_arg:
        kwargs = {**kwargs, "training": False}
    return op(*args, **kwargs)


def _ordered_nodes(model: keras.Model) -> list[Any]:
    """The calls between the inputs and the outputs of `model`, each after those it needs.

    Found from the outputs backwards: the lists of calls that layers keep also hold calls of other
    models.
    """
    known = {id(tensor) for tensor in model.inputs}
    ordered, seen = [], set()
    stack = [(tensor, False) for tensor in reversed(model.outputs)]
    while stack:
        tensor, parents_done = stack.pop()
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if parents_done:
            ordered.append(node)
            known.update(id(t) for t in node.outputs)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(node.arguments.keras_tensors))
    return ordered


def made_by(tensor: keras.KerasTensor) -> tuple[keras.Operation, list[keras.KerasTensor], int]:
    """What a symbolic tensor is an output of, the tensors that were given, and which output."""
    operation, node_index, output = tensor._keras_history
    return operation, operation._inbound_nodes[node_index].input_tensors, output


def _cast(source: keras.KerasTensor, target: keras.KerasTensor) -> keras.Operation:
    """The operation that casts to a dtype."""
    # Of an input of its own, or `source` would remember it.
    alike = keras.Input(batch_shape=source.shape, dtype=source.dtype)
    return made_by(keras.ops.cast(alike, target.dtype))[0]


def bind(model: keras.Model, args: tuple, kwargs: dict) -> list[Any]:
    """The values for `model.inputs` in a call of a nested model with `args` and `kwargs`."""
    given = args[0] if args else kwargs["inputs"]
    if isinstance(given, dict) and not isinstance(model.input, dict):
        return [given[tensor.name] for tensor in model.inputs]
    return keras.tree.flatten(given)
