"""The search for unit groups: a walk over the graph of a model by the rules of its layers."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.call import Call, NoRule
from mc_keras.units.graph import interpret, is_graph
from mc_keras.units.groups import UnitAxis, UnitGroup
from mc_keras.units.places import Places, Resolved
from mc_keras.units.rules import find_rule
from mc_keras.units.tensors import UnitTensor, hold, varying
from mc_keras.weight_space import WeightSpace


def unit_groups(
    model: keras.Model, on_unknown: Literal["error", "end"] = "error"
) -> tuple[UnitGroup, ...]:
    """Find the groups of hidden units of a model by a walk over its graph.

    Units are tied by residual connections and layers that are called twice, lined up by
    concatenations, and hold still at the inputs and outputs of the model.

    Args:
        model: A built Sequential or Functional model; nested models are entered.
        on_unknown: What to do at a layer without a rule. With "error", raise; with "end", all
            units that reach the layer hold still, and so do its weights.

    Returns:
        The groups, in the order of the layers that make them. Sets of fewer than two units are
        left out, as there is nothing to permute.

    Raises:
        TypeError: If `model` is not a Sequential or Functional model.
        ValueError: If `on_unknown` is neither, or if a layer has no rule.

    Example:
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(3)])
    >>> [(group.name, group.size, len(group.axes)) for group in unit_groups(model)]
    [('dense', 5, 3)]
    """
    if on_unknown not in ("error", "end"):
        raise ValueError(
            f'`on_unknown` must be "error" or "end". Received: on_unknown={on_unknown!r}'
        )
    walk = walk_over(model, on_unknown)
    return tuple(_groups(walk.places, WeightSpace(model), walk.places.resolve()).values())


def readings(model: keras.Model) -> list[list["Reading"]]:
    """For each of `unit_groups(model)`, the tensors of the graph that its units are read from.

    Layers without a rule end the groups. A group inside one layer, such as the heads of an
    attention layer, is read from no tensor.
    """
    walk = walk_over(model, "end")
    resolved = walk.places.resolve()
    groups = _groups(walk.places, WeightSpace(model), resolved)
    found: dict[int, list[Reading]] = {number: [] for number in groups}
    outgoing = {id(w.variable) for w in walk.places.weights.values() if w.role == "out"}
    for call, op, tensors in walk.calls:
        if not any(id(v) in outgoing for v in getattr(op, "weights", [])):
            continue
        for argument, tensor in enumerate(tensors):
            for factor in tensor.factors:
                axes = varying(factor)
                if len(axes) != 1:
                    continue
                for number, positions in _positions(factor.ravel(), resolved):
                    if number in found and len(positions) == groups[number].size:
                        found[number].append(Reading(call, argument, axes[0], positions))
    return list(found.values())


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Where the activations of the units of a group are read by a layer.

    Attributes:
        call: `id` of the first symbolic output of the call of the layer.
        argument: Number of the tensor among the tensors that the layer is given.
        axis: Axis of that tensor along which the units lie.
        positions: As in `UnitAxis`.
    """

    call: int
    argument: int
    axis: int
    positions: NDArray[np.int64]


def walk_over(model: keras.Model, on_unknown: str) -> "Walk":
    """Walk over the graph of a model by the rules of its layers; see `unit_groups`."""
    if not is_graph(model):
        raise TypeError(
            "Unit groups are found by walking the graph of a Sequential or Functional model. "
            f"Received: a {type(model).__name__} named '{model.name}'. Build it with "
            "keras.Sequential or keras.Model(inputs, outputs)."
        )
    walk = Walk(on_unknown)
    outputs = interpret(model, [UnitTensor(t.shape) for t in model.inputs], walk.graph_call)
    for output in outputs:
        hold(walk.places, output, range(len(output.shape)))
    walk.pin_opaque_weights()
    return walk


class Walk:
    """Evaluates the calls of a graph on `UnitTensor`s by their rules.

    Attributes:
        places: The book of places.
        calls: For each call in the graph, the `id` of its first symbolic output, the layer, and
            the tensors that it is given.
    """

    def __init__(self, on_unknown: str):
        self.places = Places()
        self.on_unknown = on_unknown
        self.opaque: list[Any] = []
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
        given = [v for v in keras.tree.flatten((args, kwargs)) if isinstance(v, UnitTensor)]
        self.calls.append((id(outputs[0]), op, given))
        return self._call(op, path, args, kwargs, [tensor.shape for tensor in outputs])

    def inner_call(self, op: keras.Operation, path: str, args: tuple, kwargs: dict) -> Any:
        """The outputs of a layer inside another layer, in the structure that it returns."""

        def symbol(value: Any) -> Any:
            return keras.KerasTensor(value.shape) if isinstance(value, UnitTensor) else value

        if is_graph(op):
            return interpret(op, keras.tree.flatten(args[0]), self.graph_call, f"{path}/")[0]
        spec_args, spec_kwargs = keras.tree.map_structure(symbol, (args, kwargs))
        spec = op.compute_output_spec(*spec_args, **spec_kwargs)
        shapes = [tensor.shape for tensor in keras.tree.flatten(spec)]
        return keras.tree.pack_sequence_as(spec, self._call(op, path, args, kwargs, shapes))

    def pin_opaque_weights(self) -> None:
        """Hold the weights of layers without a rule still, wherever else they are used."""
        opaque = {id(variable) for variable in self.opaque}
        for weight in list(self.places.weights.values()):
            if id(weight.variable) in opaque:
                self.places.pin(weight.places)

    def _call(
        self, op: keras.Operation, path: str, args: tuple, kwargs: dict, shapes: list[tuple]
    ) -> list[UnitTensor]:
        call = Call(op, path, args, kwargs, shapes, self.places, self.inner_call)
        weights = op.weights if isinstance(op, keras.Layer) else []
        if not weights and not any(tensor.factors for tensor in call.inputs):
            return [UnitTensor(shape) for shape in shapes]
        rule = find_rule(op)
        try:
            if rule is None:
                raise NoRule("there is no rule for its class")
            results = keras.tree.flatten(rule(call))
        except NoRule as unknown:
            if self.on_unknown == "error":
                raise ValueError(_no_rule_message(op, path, str(unknown))) from None
            self.opaque.extend(weights)
            for tensor in call.inputs:
                hold(self.places, tensor, range(len(tensor.shape)))
            return [UnitTensor(shape) for shape in shapes]
        return [
            _checked(result, shape, op, path) for result, shape in zip(results, shapes, strict=True)
        ]


def _checked(
    result: UnitTensor, shape: tuple[int | None, ...], op: keras.Operation, path: str
) -> UnitTensor:
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
    return UnitTensor(tuple(shape), result.factors)


def _no_rule_message(op: keras.Operation, path: str, reason: str) -> str:
    return (
        f"No unit rule covers the layer '{path}' of class {type(op).__name__}: {reason}. Add one "
        f"with @mc_keras.units.register_unit_rule({type(op).__name__}), or pass "
        'on_unknown="end" to end the unit groups there.'
    )


def _groups(places: Places, space: WeightSpace, resolved: Resolved) -> dict[int, UnitGroup]:
    index = {id(v): (i, True) for i, v in enumerate(space.variables)}
    index |= {id(v): (i, False) for i, v in enumerate(space.state_variables)}
    axes: dict[int, list[UnitAxis]] = {}
    names: dict[int, str] = {}
    reduced: dict[int, bool] = {}
    for weight in places.weights.values():
        if id(weight.variable) not in index:
            continue
        number, trainable = index[id(weight.variable)]
        for group, positions in _positions(weight.places, resolved):
            axis = UnitAxis(number, trainable, weight.axis, positions, weight.role, weight.merged)
            axes.setdefault(group, []).append(axis)
            reduced[group] = bool(resolved.reduced[weight.places[positions[0, 0]]])
            if weight.role == "in":
                names.setdefault(group, weight.name)
    # A group without incoming weights is made of entries that are constant, such as padding.
    total, seen = Counter(names.values()), Counter[str]()
    groups = {}
    for group, name in names.items():
        label = f"{name}[{seen[name]}]" if total[name] > 1 else name
        seen[name] += 1
        ordered = sorted(axes[group], key=lambda axis: (not axis.trainable, axis.variable))
        groups[group] = UnitGroup(label, len(ordered[0].positions), tuple(ordered), reduced[group])
    return groups


def _positions(
    places: NDArray[np.int64], resolved: Resolved
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For each group along an axis: its number, and the positions `(size, block)` of its units."""
    unit, group = resolved.unit[places], resolved.group[places]
    order = np.lexsort((resolved.part[places], unit, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    for own in sorted(np.split(order, starts[1:]), key=lambda positions: positions.min()):
        size = np.unique(unit[own]).size
        if size > 1:
            blocks = own.reshape(size, -1)
            yield int(group[own[0]]), blocks[:, np.argsort(blocks[0])]
