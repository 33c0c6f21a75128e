"""The walk over the graph of a model, call by call, by the rules of its layers."""

from collections.abc import Sequence
from typing import Any

import keras

from mc_keras.units.call import Call, NoRule, tensors_in
from mc_keras.units.graph import bind, interpret, is_entered, is_graph
from mc_keras.units.places import Places
from mc_keras.units.rules import find_rule
from mc_keras.units.tensors import UnitTensor, hold, varying
from mc_keras.user_warning import warn_user
from mc_keras.weight_space import WeightSpace


def walk_over(model: keras.Model, on_unknown: str) -> "Walk":
    """Walk over the graph of a model by the rules of its layers; see `unit_groups`."""
    if not is_graph(model):
        raise TypeError(_no_graph_message(model))
    walk = Walk(WeightSpace(model), on_unknown)
    outputs = interpret(model, [UnitTensor(t.shape) for t in model.inputs], walk.graph_call)
    for output in tensors_in(outputs):
        hold(walk.places, output, range(len(output.shape)))
    walk.hold_weights_of_others()
    return walk


class Walk:
    """Evaluates the calls of a graph on `UnitTensor`s by their rules.

    Attributes:
        space: The weights of the model.
        places: The book of places.
        calls: For each call in the graph, the `id` of its first symbolic output, the layer, and
            the tensors that it is given.
    """

    def __init__(self, space: WeightSpace, on_unknown: str):
        self.space = space
        self.places = Places()
        self.on_unknown = on_unknown
        self.calls: list[tuple[int, keras.Operation, list[UnitTensor]]] = []

    def graph_call(
        self,
        op: keras.Operation,
        args: tuple,
        kwargs: dict,
        outputs: Sequence[keras.KerasTensor],
        path: str,
    ) -> list[UnitTensor]:
        """The outputs of a call in the graph."""
        given = [
            value if isinstance(value, UnitTensor) else UnitTensor(tuple(value.shape))
            for value in keras.tree.flatten((args, kwargs))
            if isinstance(value, UnitTensor) or keras.ops.is_tensor(value)
        ]
        self.calls.append((id(outputs[0]), op, given))
        return self._call(op, args, kwargs, outputs, path)

    def inner_call(self, op: keras.Operation, path: str, args: tuple, kwargs: dict) -> Any:
        """The outputs of a layer inside another layer, in the structure that it returns."""

        def symbol(value: Any) -> Any:
            return keras.KerasTensor(value.shape) if isinstance(value, UnitTensor) else value

        spec_args, spec_kwargs = keras.tree.map_structure(symbol, (args, kwargs))
        spec = op.compute_output_spec(*spec_args, **spec_kwargs)
        if is_entered(op, kwargs):
            # No activations are seen there: to the graph the layer around it is one call.
            results = interpret(op, bind(op, args, kwargs), self._call, f"{path}/")
        else:
            results = self._call(op, args, kwargs, keras.tree.flatten(spec), path)
        return keras.tree.pack_sequence_as(spec, results)

    def hold_weights_of_others(self) -> None:
        """Hold the weights still that the model does not track: no group could permute them."""
        own = {id(v) for v in self.space.variables + self.space.state_variables}
        for weight in self.places.weights.values():
            if id(weight.variable) not in own:
                self.places.still(weight.variable)

    def _call(
        self,
        op: keras.Operation,
        args: tuple,
        kwargs: dict,
        outputs: Sequence[keras.KerasTensor],
        path: str,
    ) -> list[UnitTensor]:
        given, shapes = tensors_in((args, kwargs)), [tensor.shape for tensor in outputs]
        weights = op.weights if isinstance(op, keras.Layer) else []
        # The graph reads the value that a variable has then: its units cannot move.
        for leaf in keras.tree.flatten((args, kwargs)):
            if isinstance(leaf, keras.Variable):
                self.places.still(leaf)
        if not weights and not any(tensor.factors for tensor in given):
            return [UnitTensor(shape) for shape in shapes]
        call = Call(op, path, args, kwargs, shapes, self.places, self.inner_call)
        rule = find_rule(op)
        try:
            if rule is None:
                raise NoRule("there is no rule for its class")
            results = _checked(rule(call), shapes, op, path)
        except NoRule as unknown:
            if self.on_unknown == "error":
                raise ValueError(_no_rule_message(op, path, str(unknown))) from None
            for weight in weights:
                self.places.still(weight)
            for tensor in given:
                hold(self.places, tensor, range(len(tensor.shape)))
            return [UnitTensor(shape) for shape in shapes]
        call.hold_unread()
        self._warn_of_forgotten(op, path, weights, [*given, *results])
        return results

    def _warn_of_forgotten(
        self,
        op: keras.Operation,
        path: str,
        weights: Sequence[keras.Variable],
        tensors: Sequence[UnitTensor],
    ) -> None:
        factors = [factor for tensor in tensors for factor in tensor.factors]
        sizes = {factor.shape[axis] for factor in factors for axis in varying(factor)}
        forgotten = [
            f"'{weight.path}' of shape {tuple(weight.shape)}"
            for weight in weights
            if sizes & set(weight.shape) and not self.places.knows(weight)
        ]
        if forgotten:
            warn_user(
                f"The unit rule of '{path}' ({type(op).__name__}) never mentions its weight "
                f"{' and '.join(forgotten)}, along which units may lie: permuting them would then "
                "change the function. Name it in call.scale or call.weight, or call "
                "call.still(weight) if no unit lies along it."
            )


def _checked(
    results: Any, shapes: Sequence[tuple], op: keras.Operation, path: str
) -> list[UnitTensor]:
    """What a rule returned, with the shapes of the outputs."""
    flat = keras.tree.flatten(results)
    if len(flat) != len(shapes) or not all(isinstance(result, UnitTensor) for result in flat):
        kinds = ", ".join(type(result).__name__ for result in flat)
        raise TypeError(
            f"The unit rule of '{path}' ({type(op).__name__}) must return one UnitTensor for each "
            f"output of the layer, {len(shapes)} in all. Received: {kinds or 'nothing'}."
        )
    for result, shape in zip(flat, shapes, strict=True):
        for factor in result.factors:
            fits = factor.ndim == len(shape) and all(
                size in (1, whole) for size, whole in zip(factor.shape, shape, strict=True)
            )
            if not fits:
                raise ValueError(
                    f"The unit rule of '{path}' ({type(op).__name__}) returned units of shape "
                    f"{factor.shape} for an output of shape {shape}: each size must be that of the "
                    "output or 1."
                )
    return [UnitTensor(tuple(s), r.factors) for s, r in zip(shapes, flat, strict=True)]


def _no_graph_message(model: Any) -> str:
    message = (
        "Unit groups are found by walking the graph of a Sequential or Functional model. "
        f"Received: {_described(model)}. "
    )
    if isinstance(model, keras.Sequential):
        return message + "Give it a keras.Input first, or call it once on data."
    return message + "Build it with keras.Sequential or keras.Model(inputs, outputs)."


def _described(model: Any) -> str:
    if not isinstance(model, keras.Operation):
        return f"{model!r:.80}"
    unbuilt = "an unbuilt" if isinstance(model, keras.Sequential) else "a"
    return f"{unbuilt} {type(model).__name__} named '{model.name}'"


def _no_rule_message(op: keras.Operation, path: str, reason: str) -> str:
    if isinstance(op, keras.Layer) and not isinstance(op, keras.layers.Lambda):
        name = type(op).__name__
        # Where there is a rule for the class, another would take its place for all of its layers.
        named, whose = f"({name})", ""
        if find_rule(op) is not None:
            named, whose = "", f" for a class derived from {name}, of which you make this layer,"
        return (
            f"No unit rule covers the layer '{path}' of class {name}: {reason}. Add one{whose} "
            f"with @mc_keras.units.register_unit_rule{named}, or pass "
            'on_unknown="end" to end the unit groups there.'
        )
    return (
        f"No unit rule covers '{path}' ({type(op).__name__}): {reason}. Write it "
        "with other operations, put it into a layer of your own and add a rule for that layer with "
        '@mc_keras.units.register_unit_rule, or pass on_unknown="end" to end the unit groups there.'
    )
