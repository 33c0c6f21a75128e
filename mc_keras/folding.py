"""Batch normalisation folded into the layers before it."""

import collections
from typing import Any

import keras
import numpy as np

from mc_keras.cloning import clone_layer, own_classes
from mc_keras.units.graph import interpret, is_graph
from mc_keras.weight_space import adapted_normalizations

_LINEAR = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy of a network whose batch-norm layers have become part of the layers before them.

    At inference, batch normalisation with fixed statistics is an affine map per channel, which a
    dense layer or a convolution can do itself: with `scale = gamma / sqrt(variance + epsilon)`, the
    kernel becomes `kernel * scale` and the bias `(bias - mean) * scale + beta`. The outputs stay
    the same up to rounding, and the network no longer has statistics that are wrong away from its
    own weights.

    A batch-norm layer is folded if all that it reads is the output of a `Dense`, `Conv1D`,
    `Conv2D` or `Conv3D` layer without activation, called once and read by nothing else. Others
    stay: those of pre-activation residual networks, which follow a sum, and those inside of nested
    models.

    Args:
        model: Built Functional or Sequential model. Not changed.

    Returns:
        A new model with the same names of layers, without those that were folded. A `Sequential`
        model stays one. Compile it before you train it.

    Raises:
        ValueError: If the model is not Functional or Sequential.

    Reference:
        Ioffe and Szegedy, 2015, section 3.1, https://arxiv.org/abs/1502.03167
    """
    if not is_graph(model):
        raise ValueError(
            "Batch norm can be folded in built Sequential and Functional models. Received: "
            f"{type(model).__name__} {model.name!r}"
        )
    folds = _folds(model)
    norms = {norm.name for norm in folds.values()}

    def copy(layer: keras.Layer) -> keras.Layer:
        return clone_layer(layer, **({"use_bias": True} if layer.name in folds else {}))

    with own_classes(model):
        if isinstance(model, keras.Sequential):
            layers = [copy(layer) for layer in model.layers if layer.name not in norms]
            folded = keras.Sequential([*model.inputs, *layers], name=model.name)
        else:
            folded = keras.models.clone_model(
                model,
                clone_function=copy,
                call_function=lambda layer, *args, **kwargs: (
                    [*args, *kwargs.values()][0] if layer.name in norms else layer(*args, **kwargs)
                ),
            )
    for layer in filter(lambda layer: layer.weights, folded.layers):
        source = model.get_layer(layer.name)
        norm = folds.get(layer.name)
        layer.set_weights(source.get_weights() if norm is None else _folded(source, norm))
    for layer in adapted_normalizations(folded):
        layer.finalize_state()
    return folded


def _folds(model: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """Name of each layer that takes up a batch-norm layer, and that one."""
    called: collections.Counter[str] = collections.Counter()
    ranks: dict[str, int] = {}
    readers: dict[str, list[keras.Operation]] = collections.defaultdict(list)

    def evaluate(op: Any, args: Any, kwargs: Any, outputs: list, path: str) -> list[str]:
        called[path] += 1
        ranks[path] = len(outputs[0].shape)
        for name in keras.tree.flatten((args, kwargs)):
            if isinstance(name, str):
                readers[name].append(op)
        return [path] * len(outputs)

    ends = interpret(model, [""] * len(model.inputs), evaluate)
    folds = {}
    for layer in model.layers:
        if (
            type(layer) in _LINEAR  # one derived from them may compute anything
            and layer.activation is keras.activations.linear
            and getattr(layer, "data_format", "channels_last") == "channels_last"
            and called[layer.name] == 1
            and layer.name not in ends
            and len(readers[layer.name]) == 1
            and type(norm := readers[layer.name][0]) is keras.layers.BatchNormalization
            and norm in model.layers
            and called[norm.name] == 1
            and norm.axis in (-1, ranks[layer.name] - 1)
        ):
            folds[layer.name] = norm
    return folds


def _folded(
    layer: keras.Layer, norm: keras.layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of `layer` with `norm` in them, computed in float64."""
    weights = [np.asarray(w, "float64") for w in layer.get_weights()]
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(v), "float64")
        for v in (norm.moving_mean, norm.moving_variance)
    )
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * keras.ops.convert_to_numpy(norm.gamma)
    bias = (weights[1] if layer.use_bias else 0.0) - mean
    bias = bias * scale
    if norm.center:
        bias = bias + keras.ops.convert_to_numpy(norm.beta)
    return weights[0] * scale, bias
