"""One row for each kind of network a user may bring: how it is built, and data for it."""

import keras
import numpy as np

layers = keras.layers
N = 48


def _text(generator):
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(50, 16, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(8))(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    return model, generator.integers(0, 50, (N, 12)), generator.integers(0, 2, N)


def _transformer(generator):
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(50, 16)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    y = layers.Dense(16)(layers.Dense(32, activation="gelu")(x))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + y))
    outputs = layers.Dense(4, activation="softmax")(layers.Dropout(0.2)(x))
    model = keras.Model(inputs, outputs)
    return model, generator.integers(0, 50, (N, 12)), generator.integers(0, 4, N)


def _regression(generator):
    normalisation = layers.Normalization(mean=[0.0, 1, 2], variance=[1.0, 1, 1])
    model = keras.Sequential(
        [keras.Input((3,)), normalisation, layers.Dense(16, activation="tanh"), layers.Dense(2)]
    )
    x, y = (generator.normal(size=(N, k)).astype("float32") for k in (3, 2))
    return model, x, y


@keras.saving.register_keras_serializable("tests")
class Temperature(layers.Layer):
    """Divides by a number that is learned: a weight without axes."""

    def build(self, input_shape):
        self.temperature = self.add_weight(name="temperature", shape=(), initializer="ones")

    def call(self, x):
        return x / self.temperature


def _scalar_weight(generator):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(2), Temperature()]
    )
    model.layers[-1].temperature.assign(generator.uniform(0.5, 2.0))
    x = generator.normal(size=(N, 3)).astype("float32")
    return model, x, generator.integers(0, 2, N)


def _shared_nested_model(generator):
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalMaxPooling2D(),
        ]
    )
    inputs = keras.Input((8, 8, 1))
    both = layers.Concatenate()([base(inputs), base(layers.RandomFlip()(inputs))])
    model = keras.Model(inputs, layers.Dense(3)(both))
    return model, _images(generator, 1), generator.integers(0, 3, N)


def _mixed_precision(generator):
    policy = "mixed_bfloat16"
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.ReLU(dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(3, dtype="float32"),
        ]
    )
    return model, _images(generator, 3), generator.integers(0, 3, N)


def _one_hot_targets(generator):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, "relu"), layers.Dense(3, activation="softmax")]
    )
    x = generator.normal(size=(N, 4)).astype("float32")
    return model, x, np.eye(3, dtype="float32")[generator.integers(0, 3, N)]


def _two_arms_of_operations(generator):
    inputs = keras.Input((6,))
    gate = keras.ops.sigmoid(layers.Dense(7)(inputs))
    x = keras.ops.multiply(layers.Dense(7, "relu")(inputs), gate)
    model = keras.Model(inputs, layers.Dense(3)(x))
    x = generator.normal(size=(N, 6)).astype("float32")
    return model, x, generator.integers(0, 3, N)


def _separable_convolutions(generator):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.SeparableConv2D(6, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.PReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    return model, _images(generator, 3), generator.integers(0, 3, N)


def _adapted(generator):
    x = (100 + 5 * generator.normal(size=(N, 3))).astype("float32")
    normalisation = layers.Normalization()
    normalisation.adapt(x)
    model = keras.Sequential(
        [keras.Input((3,)), normalisation, layers.Dense(8, "relu"), layers.Dense(3)]
    )
    return model, x, generator.integers(0, 3, N)


def _frozen_statistics(generator):
    norm = layers.BatchNormalization(trainable=False)
    first = layers.BatchNormalization(scale=False, center=False, trainable=False)
    model = keras.Sequential(
        [keras.Input((3,)), first, layers.Dense(8), norm, layers.ReLU(), layers.Dense(3)]
    )
    for layer in (first, norm):
        layer.moving_mean.assign(generator.normal(size=layer.moving_mean.shape))
        layer.moving_variance.assign(generator.uniform(0.2, 3.0, layer.moving_variance.shape))
    x = generator.normal(size=(N, 3)).astype("float32")
    return model, x, generator.integers(0, 3, N)


def _activation_with_weights(generator):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(8, activation=layers.PReLU()), layers.Dense(3)]
    )
    model(np.zeros((1, 3)))  # before it the slopes do not exist
    model.weights[2].assign(generator.uniform(-1.0, 1.0, 8))
    x = generator.normal(size=(N, 3)).astype("float32")
    return model, x, generator.integers(0, 3, N)


@keras.saving.register_keras_serializable("tests")
class Noise(layers.Layer):
    """Adds noise in training, and takes a call for training that does not tell."""

    def call(self, x, training=True):
        return x + keras.random.normal(keras.ops.shape(x)) if training else x


def _training_by_default(generator):
    tail = [layers.Dense(8, "relu"), Noise(), layers.Dense(6, "tanh"), layers.Dense(3)]
    model = keras.Sequential([keras.Input((3,)), Noise(), *tail])
    x = generator.normal(size=(N, 3)).astype("float32")
    return model, x, generator.integers(0, 3, N)


def _images(generator, channels):
    return generator.normal(size=(N, 8, 8, channels)).astype("float32")


MODELS = {
    "LSTM with masks": _text,
    "transformer": _transformer,
    "regression": _regression,
    "scalar weight": _scalar_weight,
    "shared nested model": _shared_nested_model,
    "mixed precision": _mixed_precision,
    "one-hot targets": _one_hot_targets,
    "operations": _two_arms_of_operations,
    "separable convolutions": _separable_convolutions,
    "adapted normalisation": _adapted,
    "frozen statistics": _frozen_statistics,
    "activation with weights": _activation_with_weights,
    "training by default": _training_by_default,
}
