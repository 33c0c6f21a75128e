"""New models of the architecture of one, with whatever layers of the user's own are in it."""

import types
from typing import Any

import keras

from mc_keras.architecture import check_has_graph, without_config
from mc_keras.weight_space import LOOKUPS, WeightSpace, layers_inside


def clone(model: keras.Model) -> Any:
    """A new model of the same architecture with weights of its own, not compiled.

    Layers and functions of the user's own need no registration.

    Raises:
        TypeError: If `model` is not a Sequential or Functional model, or a layer of it cannot be
            made from its configuration.
    """
    check_has_graph(model)
    for layer in layers_inside(model):
        if isinstance(layer, LOOKUPS) and layer.get_config()["vocabulary"] is None:
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
        raise without_config(model, error) from error
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


def _weight_shapes(model: keras.Model) -> list[list[tuple[int, ...]]]:
    if not model.weights:
        return []
    space = WeightSpace(model)
    return [[tuple(v.shape) for v in vs] for vs in (space.variables, space.state_variables)]


def own_classes(model: keras.Model) -> Any:
    """Scope in which layers and functions of the user's own need no registration with Keras."""
    own: dict[str, Any] = {}
    for layer in layers_inside(model):
        own[type(layer).__name__] = type(layer)
        own |= {f.__name__: f for f in filter(_is_function, vars(layer).values())}
    return keras.saving.custom_object_scope(own)


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
    pairs = list(zip(layers_inside(model), layers_inside(copy), strict=False))
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
