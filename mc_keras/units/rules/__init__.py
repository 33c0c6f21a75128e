"""The table of rules: for each kind of layer, what a permutation of hidden units does to it.

A rule is a function `rule(call) -> UnitTensor`; `mc_keras.units.call.Call` is what it sees. To add
one for a layer of your own, see `register_unit_rule`.

There are three tables, by how a layer can be told. `RULES` goes by class: layers that Keras exports
and those that users register. The operations of `keras.ops` have classes that Keras keeps private,
and `keras.applications` has layers that it does not export; both may move with the next Keras, and
importing them would fail then. `OPERATION_RULES` therefore goes by the name of the class alone, and
`_UNEXPORTED_RULES` by module and name, as such a layer could be called like one of a user's.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from mc_keras.units.call import Call
from mc_keras.units.rules import (
    activations,
    attention,
    convolution,
    dense,
    normalization,
    recurrent,
    shaping,
)
from mc_keras.units.rules.operations import OPERATION_RULES

Rule = Callable[[Call], Any]


def _layers(names: str) -> list[type]:
    return [getattr(layers, name) for name in names.split()]


_UNCHANGED = _layers(
    "ActivityRegularization AlphaDropout Dropout ELU GaussianDropout GaussianNoise Identity "
    "LeakyReLU ReLU SpatialDropout1D SpatialDropout2D SpatialDropout3D"
)
_POOLING = _layers(
    "AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D "
    "CenterCrop Resizing Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D "
    "ZeroPadding1D ZeroPadding2D ZeroPadding3D "
    "RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom"
)
if hasattr(layers, "AdaptiveMaxPooling1D"):  # not in Keras 3.12
    _POOLING += _layers(
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
        "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    )
_GLOBAL_POOLING = _layers(
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
    "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D"
)
_MERGE = _layers("Add Average Maximum Minimum Multiply Subtract")
_TRANSPOSED = _layers("Conv1DTranspose Conv2DTranspose Conv3DTranspose")

RULES: dict[type, Rule] = {
    **dict.fromkeys(_UNCHANGED, activations.unchanged),
    layers.Activation: activations.activation,
    layers.Lambda: activations.function,
    layers.Masking: activations.masking,
    layers.PReLU: activations.prelu,
    layers.Rescaling: activations.rescaling,
    layers.Softmax: activations.softmax,
    layers.Dense: dense.dense,
    layers.EinsumDense: dense.einsum_dense,
    layers.Embedding: dense.embedding,
    layers.ReversibleEmbedding: dense.reversible_embedding,
    **dict.fromkeys(_layers("Conv1D Conv2D Conv3D"), convolution.convolution),
    **dict.fromkeys(_TRANSPOSED, convolution.transposed_convolution),
    layers.DepthwiseConv1D: convolution.depthwise_convolution,
    layers.DepthwiseConv2D: convolution.depthwise_convolution,
    layers.SeparableConv1D: convolution.separable_convolution,
    layers.SeparableConv2D: convolution.separable_convolution,
    **dict.fromkeys(_POOLING, convolution.pooling),
    **dict.fromkeys(_GLOBAL_POOLING, convolution.global_pooling),
    layers.BatchNormalization: normalization.batch_normalization,
    layers.GroupNormalization: normalization.group_normalization,
    layers.LayerNormalization: normalization.layer_normalization,
    layers.Normalization: normalization.input_normalization,
    layers.RMSNormalization: normalization.rms_normalization,
    layers.SpectralNormalization: normalization.spectral_normalization,
    layers.UnitNormalization: normalization.unit_normalization,
    layers.Flatten: shaping.flatten,
    layers.Permute: shaping.permute,
    layers.RepeatVector: shaping.repeat_vector,
    layers.Reshape: shaping.reshaping,
    layers.Concatenate: shaping.concatenation,
    layers.Dot: shaping.dot,
    **dict.fromkeys(_MERGE, shaping.merge),
    layers.AdditiveAttention: attention.additive_attention,
    layers.Attention: attention.attention,
    layers.GroupQueryAttention: attention.grouped_query_attention,
    layers.MultiHeadAttention: attention.multi_head_attention,
    layers.Bidirectional: recurrent.bidirectional,
    layers.ConvLSTM1D: recurrent.convolutional_recurrent,
    layers.ConvLSTM2D: recurrent.convolutional_recurrent,
    layers.ConvLSTM3D: recurrent.convolutional_recurrent,
    **dict.fromkeys((layers.GRU, layers.LSTM, layers.RNN), recurrent.recurrent),
    layers.SimpleRNN: recurrent.recurrent,
    layers.TimeDistributed: recurrent.time_distributed,
}

# Layers of keras.applications that Keras does not export.
_UNEXPORTED_RULES: dict[str, Rule] = {
    "keras.src.applications.convnext.LayerScale": normalization.layer_scale,
    "keras.src.applications.convnext.StochasticDepth": activations.unchanged,
    "keras.src.applications.inception_resnet_v2.CustomScaleLayer": shaping.merge,
}

# Methods that a subclass may redefine without losing the rule of its base class.
_HARMLESS = {"__init__", "build", "get_config", "from_config", "compute_output_shape"}


def register_unit_rule(layer_class: type) -> Callable[[Rule], Rule]:
    """Register the rule for a kind of layer: `unit_groups` then knows what it does to units.

    Args:
        layer_class: The class. A subclass uses the rule of its base class unless it redefines
            more than `__init__`, `build`, `get_config`, `from_config` and `compute_output_shape`.

    Returns:
        A decorator for the rule. The rule must mention every weight that a permutation of units
        acts on, by `call.scale`, `call.weight` or `call.weight_places`; a warning names weights of
        the size of the units that it never mentions. It may say `call.still(weight)` of others.

    Raises:
        TypeError: If `layer_class` is not a class of layers or operations.

    Example:
    >>> class Gain(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.gain = self.add_weight(shape=(shape[-1],), initializer="ones")
    ...     def call(self, x):
    ...         return x * self.gain
    >>> @register_unit_rule(Gain)
    ... def gain(call):
    ...     return call.scale(call.input, call.op.gain, axes=[-1])
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.Operation)):
        raise TypeError(
            "A unit rule belongs to a class of Keras layers. "
            f"Received: {layer_class!r}. Pass the class, not an instance."
        )

    def register(rule: Rule) -> Rule:
        RULES[layer_class] = rule
        return rule

    return register


def find_rule(op: keras.Operation) -> Rule | None:
    """The rule for a layer or operation, or `None`."""
    for cls in type(op).__mro__:
        if cls in RULES:
            return RULES[cls]
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name in _UNEXPORTED_RULES:
            return _UNEXPORTED_RULES[name]
        if not isinstance(op, keras.Layer) and cls.__module__.startswith("keras.src."):
            return OPERATION_RULES.get(cls.__name__)
        if any(callable(value) for key, value in vars(cls).items() if key not in _HARMLESS):
            return None
    return None
