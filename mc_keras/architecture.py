"""What makes two networks the same function of their weights, and how they differ."""

import base64
import hashlib
import json
import marshal
import types
from typing import Any

import keras

from mc_keras.storage import fingerprint
from mc_keras.weight_space import WeightSpace

# Where a configuration refers to layers by their names.
_NAMES_OF_LAYERS = ("keras_history", "input_layers", "output_layers")
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


def check_same_architecture(start: keras.Model, end: keras.Model) -> None:
    """Check that two models are the same function of their weights, in the same order.

    Names, initializers, regularizers, seeds and the trainable flag may differ.

    Raises:
        TypeError: If one is neither Sequential nor Functional, or a layer has no configuration.
        ValueError: Naming the first difference.
    """
    for model in (start, end):
        check_has_graph(model)
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
        raise without_config(model, error) from error
    # Not `model.layers`: operations such as `x + y` are nodes of the graph too.
    position = _positions(config)
    described = []
    for layer_config in config.get("layers", []):
        described.append((str(layer_config.get("class_name")), _stripped(layer_config, position)))
    if not described:
        described.append((type(model).__name__, _stripped(config, position)))
    described.append(("outputs", _stripped(config.get("output_layers"), position, names=True)))
    if len(getattr(model, "inputs", None) or []) > 1:
        described.append(("inputs", _stripped(config.get("input_layers"), position, names=True)))
    return described


def _positions(config: dict[str, Any]) -> dict[str, int]:
    """Name to number of the layers of a model, by its configuration."""
    layers = [layer for layer in config.get("layers", []) if "config" in layer]
    names = [layer.get("name", layer["config"].get("name")) for layer in layers]
    return {name: index for index, name in enumerate(names)}


def _stripped(value: Any, position: dict[str, int], *, names: bool = False) -> Any:
    """A part of a configuration without what does not matter.

    Args:
        value: The part.
        position: Name to number of the layers that it may refer to.
        names: Whether texts are names of layers.
    """
    if isinstance(value, dict):
        if isinstance(value.get("layers"), list):
            # A nested model, whose layers have names of their own.
            position = position | _positions(value)
        kept = {
            key: _stripped(item, position, names=names or key in _NAMES_OF_LAYERS)
            for key, item in value.items()
            if key not in _NOT_STRUCTURE
            and not str(key).endswith(("_initializer", "_regularizer", "_constraint"))
        }
        if value.get("class_name") == "__lambda__":
            kept["body"] = _body(value["config"]["code"])
        return kept
    if isinstance(value, list | tuple):
        return [_stripped(item, position, names=names) for item in value]
    if names and isinstance(value, str) and value in position:
        return f"layer {position[value]}"
    return value


def _body(code: str) -> str:
    """Digest of what a function does, as Keras writes it down: without the place that it is at."""
    described = _described(marshal.loads(base64.b64decode(code)))
    return hashlib.sha256(repr(described).encode()).hexdigest()


def _described(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return value.co_code, value.co_names, [_described(item) for item in value.co_consts]
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
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


def describe_network(model: keras.Model) -> dict[str, str]:
    """Name and fingerprints of a network: of weights and state, and of its graph; JSON-able."""
    space = WeightSpace(model)
    graph = json.dumps(structure(model), sort_keys=True, default=str).encode()
    return {
        "name": model.name,
        "sha256": fingerprint([*space.read(), *space.read_state()]),
        "architecture": hashlib.sha256(graph).hexdigest(),
    }


def check_has_graph(model: keras.Model) -> None:
    """Raise TypeError unless a model is Sequential or Functional."""
    if not isinstance(model, keras.Sequential | keras.Function):
        raise TypeError(
            f"'{model.name}' ({type(model).__name__}) is neither a Sequential nor a Functional "
            "model, so it cannot be rebuilt as a path needs it: wrap it as "
            "keras.Model(inputs, model(inputs)) with a keras.Input."
        )


def without_config(model: keras.Model, error: Exception) -> TypeError:
    """The error of a model that Keras cannot rebuild, with what Keras says of it."""
    return TypeError(
        f"The model '{model.name}' cannot be rebuilt from its configuration, which a path "
        "needs: give its own layers get_config and from_config. Keras says: "
        f"{(str(error).strip().splitlines() or [type(error).__name__])[0]}"
    )
