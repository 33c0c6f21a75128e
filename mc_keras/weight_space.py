"""The space of a model's weights: which variables, in which order, and the model at a point of it.

This is the only file that uses `keras.StatelessScope`. A *point* is a plain list of arrays or
tensors aligned with `WeightSpace.variables`; a *state* is one aligned with
`WeightSpace.state_variables` (batch-norm moments and the like: they belong to a point but are
not trained).
"""

import contextlib
import hashlib
import json
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.storage import fingerprint

Point = list[Any]

_LOOKUPS = (
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)


class WeightSpace:
    """The ordered weights of one model, and the model at other weights.

    The lists of variables are fixed at construction. A variable is on the path if it was
    *created* trainable, so a frozen layer (`trainable=False`) stays on it.

    Args:
        model: A built Keras model (or layer). It is not changed, except by `write`.

    Attributes:
        model: The model.
        variables: The variables a path moves, in the order of `model.weights`.
        owners: The layer that each of `variables` belongs to.
        state_variables: The other weights, such as batch-norm moving statistics.
        seed_variables: States of the random generators of dropout and the like.

    Raises:
        TypeError: If `model` is not a Keras layer or model.
        ValueError: If its weights do not exist yet.
    """

    def __init__(self, model: keras.Layer):
        if not isinstance(model, keras.Layer):
            raise TypeError(
                f"Expected a Keras model, received {type(model).__name__}: {model!r:.80}."
            )
        if not model.built or any(
            # Keras never says of the look-up table inside a TextVectorization that it is built.
            not layer.built and not isinstance(layer, _LOOKUPS)
            for layer in _layers_inside(model)
        ):
            raise ValueError(
                f"The model '{model.name}' has unbuilt weights: give it an input shape (an Input "
                "layer, or model.build(input_shape)) or call it once on data before connecting it."
            )
        owners = {
            id(v): layer for layer in _layers_inside(model) for v in layer._trainable_variables
        }
        self.model = model
        self.variables = tuple(v for v in model.weights if id(v) in owners)
        self.state_variables = tuple(v for v in model.weights if id(v) not in owners)
        self.owners = tuple(owners[id(v)] for v in self.variables)
        weights = {id(v) for v in model.weights}
        self.seed_variables = tuple(
            v
            for v in model.non_trainable_variables
            if id(v) not in weights and keras.backend.is_int_dtype(v.dtype) and v.shape == (2,)
        )
        self._normalizations = adapted_normalizations(model)
        if not self.variables:
            raise ValueError(
                f"The model '{model.name}' has no weights, so there is nothing to connect."
            )

    def read(self) -> list[np.ndarray]:
        """The point where the model is now."""
        return [_to_numpy(v) for v in self.variables]

    def read_state(self) -> list[np.ndarray]:
        """The state the model has now."""
        return [_to_numpy(v) for v in self.state_variables]

    def write(self, point: Sequence[Any], state: Sequence[Any] | None = None) -> None:
        """Move the model to `point`, and give it `state` if there is one.

        Raises:
            ValueError: If the number or the shapes of the arrays do not fit.
        """
        self.check(point, self.variables, "point")
        if state is not None:
            self.check(state, self.state_variables, "state")
            for variable, value in zip(self.state_variables, state, strict=True):
                variable.assign(value)
        for variable, value in zip(self.variables, point, strict=True):
            variable.assign(value)
        for layer in self._normalizations:
            layer.finalize_state()

    def check(self, arrays: Sequence[Any], variables: Sequence[Any], what: str) -> None:
        """Raise ValueError unless `arrays` has the number and shapes of `variables`."""
        if len(arrays) != len(variables):
            raise ValueError(
                f"A {what} of '{self.model.name}' has {len(variables)} arrays, received "
                f"{len(arrays)}: pass one array for each of its variables, in their order."
            )
        for array, variable in zip(arrays, variables, strict=True):
            if tuple(array.shape) != tuple(variable.shape):
                raise ValueError(
                    f"'{variable.path}' has shape {tuple(variable.shape)}, received an array of "
                    f"shape {tuple(array.shape)}: pass the arrays of a {what} in the order of the "
                    "variables."
                )

    def at(
        self,
        point: Sequence[Any],
        compute: Callable[[], Any],
        *,
        state: Sequence[Any] | None = None,
        seeds: Sequence[Any] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Run `compute` with the variables standing at `point`; nothing is assigned.

        `point` must have been computed before the call: Keras scopes do not nest, and values of
        an outer scope are not seen inside. Losses that layers add inside are collected by
        `layer.losses` as usual.

        Args:
            point: Tensors aligned with `variables`; gradients flow to them.
            compute: Function without arguments that calls the model or parts of it.
            state: Tensors aligned with `state_variables`; the present values if not given.
            seeds: Tensors aligned with `seed_variables`; the present values if not given.

        Returns:
            What `compute` returned, and the state after it (batch-norm layers in training mode
            update theirs).
        """
        mapping = list(zip(self.variables, point, strict=True))
        if state is None:
            state = [v.value for v in self.state_variables]
        mapping += zip(self.state_variables, state, strict=True)
        if seeds is not None:
            mapping += zip(self.seed_variables, seeds, strict=True)
        with (
            keras.StatelessScope(
                state_mapping=mapping, collect_losses=True, initialize_variables=False
            ) as scope,
            self._normalized(),
        ):
            result = compute()
        return result, [scope.get_current_value(v) for v in self.state_variables]

    @contextlib.contextmanager
    def _normalized(self) -> Iterator[None]:
        """Within this, adapted layers compute with the present values of their variables.

        They hold tensors that were made of them; those of a scope must not outlive it.
        """
        before = [(layer.mean, layer.variance) for layer in self._normalizations]
        for layer in self._normalizations:
            layer.finalize_state()
        try:
            yield
        finally:
            for layer, (mean, variance) in zip(self._normalizations, before, strict=True):
                layer.mean, layer.variance = mean, variance

    def __call__(
        self,
        point: Sequence[Any],
        x: Any,
        *,
        state: Sequence[Any] | None = None,
        training: bool = False,
    ) -> Any:
        """Outputs of the model at `point` for the batch `x`."""
        return self.at(point, lambda: self.model(x, training=training), state=state)[0]


def clone(model: keras.Model) -> Any:
    """A new model of the same architecture with weights of its own, not compiled.

    Layers and functions of the user's own need no registration.

    Raises:
        TypeError: If `model` is not a Sequential or Functional model, or a layer of it cannot be
            made from its configuration.
    """
    _check_has_graph(model)
    for layer in _layers_inside(model):
        if isinstance(layer, _LOOKUPS) and layer.get_config()["vocabulary"] is None:
            raise TypeError(
                f"The layer '{layer.name}' of '{model.name}' was adapted to a vocabulary, which "
                "its configuration does not hold, so it cannot be rebuilt as a path needs it: give "
                "the layer its `vocabulary` when it is made."
            )
    # Keras would clone the compilation too, and a model so compiled keeps its old metrics for ever.
    compiled, model.compiled = model.compiled, False
    try:
        with own_classes(model):
            copy = keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
    except Exception as error:
        raise _without_config(model, error) from error
    finally:
        model.compiled = compiled
    if _weight_shapes(model) != _weight_shapes(copy):
        raise TypeError(
            f"The model '{model.name}' has other weights when it is rebuilt from its "
            "configuration, as a path needs it: a layer takes weights of another one, or makes "
            "some that its configuration does not tell of. Let its get_config and from_config say "
            "so, or share a layer by calling it several times."
        )
    _hand_over_functions(model, copy)
    return copy


def _check_has_graph(model: keras.Model) -> None:
    if not isinstance(model, keras.Sequential | keras.Function):
        raise TypeError(
            f"'{model.name}' ({type(model).__name__}) is neither a Sequential nor a Functional "
            "model, so it cannot be rebuilt as a path needs it: wrap it as "
            "keras.Model(inputs, model(inputs)) with a keras.Input."
        )


def _weight_shapes(model: keras.Model) -> list[list[tuple[int, ...]]]:
    if not model.weights:
        return []
    space = WeightSpace(model)
    return [[tuple(v.shape) for v in vs] for vs in (space.variables, space.state_variables)]


def _without_config(model: keras.Model, error: Exception) -> TypeError:
    return TypeError(
        f"The model '{model.name}' cannot be rebuilt from its configuration, which a path "
        "needs: give its own layers get_config and from_config. Keras says: "
        f"{(str(error).strip().splitlines() or [type(error).__name__])[0]}"
    )


def own_classes(model: keras.Model) -> Any:
    """Scope in which layers and functions of the user's own need no registration with Keras."""
    own: dict[str, Any] = {}
    for layer in _layers_inside(model):
        own[type(layer).__name__] = type(layer)
        own |= {f.__name__: f for f in filter(_is_function, vars(layer).values())}
    return keras.saving.custom_object_scope(own)


def adapted_normalizations(model: keras.Layer) -> list[keras.layers.Normalization]:
    """Layers that normalise by what they were adapted to, not by numbers that they were given.

    After their variables are set, `finalize_state` makes them compute with the new values.
    """
    return [
        layer
        for layer in _layers_inside(model)
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None
    ]


def clone_layer(layer: keras.Layer, **changes: Any) -> keras.Layer:
    """A new layer from the configuration of one, with changes to that; call in `own_classes`."""
    if type(layer) is keras.layers.Lambda:
        # Functions themselves: read back from their code, they miss the modules that they name.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            **keras.layers.Layer.get_config(layer),
        )
    if isinstance(layer, keras.Sequential | keras.Function):
        return clone(layer)
    unsafe = {"safe_mode": False} if isinstance(layer, keras.layers.Lambda) else {}
    try:
        return type(layer).from_config({**layer.get_config(), **changes}, **unsafe)
    except Exception:
        # A lambda that Keras has serialized it does not read again.
        config = layer.get_config()
        functions = {k: f for k, f in vars(layer).items() if k in config and _is_function(f)}
        if not functions:
            raise
        return type(layer).from_config({**config, **functions, **changes})


def _hand_over_functions(model: keras.Model, copy: keras.Model) -> None:
    """Give a copy the very functions of a model: its configuration knows them by name only."""
    pairs = list(zip(_layers_inside(model), _layers_inside(copy), strict=False))
    if any(type(layer) is not type(other) for layer, other in pairs):
        return
    for layer, other in pairs:
        for key, function in vars(layer).items():
            theirs = getattr(other, key, None)
            differ = _is_function(function) and _is_function(theirs) and theirs is not function
            if differ and key in layer.get_config():
                setattr(other, key, function)


def _is_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType)


def check_same_architecture(start: keras.Model, end: keras.Model) -> None:
    """Check that two models are the same function of their weights, in the same order.

    Names, initializers, regularizers, seeds and the trainable flag may differ.

    Raises:
        TypeError: If one is neither Sequential nor Functional, or a layer has no configuration.
        ValueError: Naming the first difference.
    """
    for model in (start, end):
        _check_has_graph(model)
    a, b = WeightSpace(start), WeightSpace(end)
    advice = "a path connects two models of one architecture; build both with the same code"
    if len(a.variables) != len(b.variables):
        raise ValueError(
            f"The models differ: '{start.name}' has {len(a.variables)} weight arrays, "
            f"'{end.name}' has {len(b.variables)}; {advice}."
        )
    pairs = zip(a.variables + a.state_variables, b.variables + b.state_variables, strict=False)
    for position, (v, w) in enumerate(pairs):
        if tuple(v.shape) != tuple(w.shape):
            raise ValueError(
                f"The models differ: weight {position} is '{v.path}' of shape {tuple(v.shape)} in "
                f"'{start.name}' and '{w.path}' of shape {tuple(w.shape)} in '{end.name}'; "
                f"{advice}."
            )
    difference = first_difference(structure(start), structure(end))
    if difference is not None:
        raise ValueError(
            f"The models '{start.name}' and '{end.name}' have weights of the same shapes, but "
            f"{difference}; {advice}."
        )


def check_finite(point: Sequence[np.ndarray], space: WeightSpace, name: str) -> None:
    """Raise ValueError naming the first variable of `point` that holds NaN or infinity."""
    for array, variable in zip(point, space.variables, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(
                f"'{variable.path}' of the {name} model holds NaN or infinite weights: its "
                "training diverged or its file is damaged; connect a model with finite weights."
            )


def _layers_inside(model: keras.Layer) -> Iterator[keras.Layer]:
    return model._flatten_layers()


def _to_numpy(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))


_NOT_STRUCTURE = {
    "build_config",
    "code",
    "compile_config",
    "dtype",
    "module",
    "name",
    "registered_name",
    "seed",
    "shared_object_id",
    "trainable",
}


def describe_network(model: keras.Model) -> dict[str, str]:
    """Name and fingerprints of a network: of weights and state, and of its graph; JSON-able."""
    space = WeightSpace(model)
    graph = json.dumps(structure(model), sort_keys=True, default=str).encode()
    return {
        "name": model.name,
        "sha256": fingerprint([*space.read(), *space.read_state()]),
        "architecture": hashlib.sha256(graph).hexdigest(),
    }


def structure(model: keras.Model) -> list[tuple[str, Any]]:
    """What makes two models the same function of their weights, without the names of layers.

    Returns:
        Class and JSON-able configuration of each layer, in order, then what the outputs are.

    Raises:
        TypeError: If a layer has no configuration.
    """
    try:
        config = model.get_config()
    except NotImplementedError as error:
        raise _without_config(model, error) from error
    # Not `model.layers`: operations such as `x + y` are nodes of the graph too.
    position = _positions(config)
    described = []
    for layer_config in config.get("layers", []):
        described.append((str(layer_config.get("class_name")), _stripped(layer_config, position)))
    if not described:
        described.append((type(model).__name__, _stripped(config, position)))
    described.append(("outputs", _stripped(config.get("output_layers"), position)))
    return described


def _positions(config: dict[str, Any]) -> dict[str, int]:
    """Name to number of the layers of a model, by its configuration."""
    layers = [layer for layer in config.get("layers", []) if "config" in layer]
    names = [layer.get("name", layer["config"].get("name")) for layer in layers]
    return {name: index for index, name in enumerate(names)}


def _stripped(value: Any, position: dict[str, int]) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("layers"), list):
            # A nested model, whose layers have names of their own.
            position = position | _positions(value)
        return {
            key: _stripped(item, position)
            for key, item in value.items()
            if key not in _NOT_STRUCTURE
            and not str(key).endswith(("_initializer", "_regularizer", "_constraint"))
        }
    if isinstance(value, list | tuple):
        return [_stripped(item, position) for item in value]
    if isinstance(value, str) and value in position:
        return f"layer {position[value]}"
    return value


def first_difference(a: list[tuple[str, Any]], b: list[tuple[str, Any]]) -> str | None:
    """How the second of two structures differs from the first, or `None`."""
    if len(a) != len(b):
        return f"they have {len(a) - 1} and {len(b) - 1} layers"
    for index, ((kind, config), (other_kind, other_config)) in enumerate(zip(a, b, strict=True)):
        if kind != other_kind:
            return f"layer {index} is a {kind} in one and a {other_kind} in the other"
        if json.dumps(config, sort_keys=True, default=str) != json.dumps(
            other_config, sort_keys=True, default=str
        ):
            return f"layer {index} ({kind}) differs in {_differing_key(config, other_config)}"
    return None


def _differing_key(a: Any, b: Any) -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                inner = a.get(key), b.get(key)
                if isinstance(inner[0], dict) and isinstance(inner[1], dict):
                    return _differing_key(*inner)
                if key == "inbound_nodes":
                    return "what it is connected to"
                return f"'{key}': {inner[0]!r:.60} against {inner[1]!r:.60}"
    return "how it is connected"
