"""Networks whose graphs are of all the kinds that weights are adjusted in."""

import keras
import numpy as np
from keras import layers as L


def dense(widths=(6, 5), bias=True):
    return keras.Sequential(
        [keras.Input((4,)), *(L.Dense(w, "relu", use_bias=bias) for w in widths), L.Dense(3)]
    )


def convolutions():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.Conv2D(5, 3, padding="same", activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(6, 3, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Flatten(),
            L.Dense(3),
        ]
    )


def residual():
    """The stream is written by `stem` and `writer`, read by `inner`, `shortcut` and `after`."""
    inputs = keras.Input((6, 6, 2))
    stream = L.Conv2D(5, 3, padding="same", name="stem")(inputs)
    x = L.BatchNormalization(name="norm")(stream)
    x = L.Conv2D(4, 3, padding="same", name="inner")(L.ReLU()(x))
    x = L.Conv2D(5, 3, padding="same", name="writer")(L.ReLU()(x))
    stream = L.Add()([stream, x])
    skip = L.Conv2D(7, 1, strides=2, name="shortcut")(stream)
    x = L.Conv2D(7, 3, strides=2, padding="same", name="after")(L.ReLU()(stream))
    stream = L.Add()([skip, x])
    return keras.Model(inputs, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(stream)))


def post_activation():
    """A residual network in which batch norm stands before the sums, and ReLU behind them."""
    inputs = keras.Input((6, 6, 2))

    def normed(x, filters, size, name, strides=1):
        convolution = L.Conv2D(
            filters, size, strides=strides, padding="same", use_bias=False, name=name
        )
        return L.BatchNormalization(name=f"{name}_norm")(convolution(x))

    stream = L.ReLU()(normed(inputs, 5, 3, "stem"))
    x = L.ReLU()(normed(stream, 4, 3, "inner"))
    stream = L.ReLU()(L.Add(name="add")([stream, normed(x, 5, 3, "writer")]))
    x = L.ReLU()(normed(stream, 6, 3, "inner_2", strides=2))
    x = [normed(stream, 7, 1, "shortcut", strides=2), normed(x, 7, 3, "writer_2")]
    stream = L.ReLU()(L.Add(name="add_2")(x))
    return keras.Model(inputs, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(stream)))


def nested():
    """Branches, a concatenation, a nested model, a depthwise layer and a scale."""
    inputs = keras.Input((6, 6, 2))
    inner = keras.Sequential([keras.Input((6, 6, 4)), L.Conv2D(5, 1), L.LayerNormalization()])
    x = L.DepthwiseConv2D(3, padding="same", name="depthwise")(
        L.Conv2D(4, 3, padding="same")(inputs)
    )
    x = L.Concatenate()([inner(x), L.Conv2D(3, 1, activation="tanh")(inputs)])
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def heads():
    """Two branches, the head of the first one called before the second one begins."""
    inputs = keras.Input((4,))
    ends = [
        L.Dense(3, name=f"head_{name}")(L.Dense(24, activation, name=f"hidden_{name}")(inputs))
        for name, activation in (("a", "relu"), ("b", "tanh"))
    ]
    return keras.Model(inputs, L.Add()(ends))


def shared():
    """The same convolution and normalisation on two branches, a convolution of each of its own."""
    inputs = keras.Input((6, 6, 2))
    both = L.Conv2D(4, 3, padding="same", name="both")
    norm = L.BatchNormalization(name="norm")
    own = [L.Conv2D(4, 1, activation="relu", name=f"own_{i}")(inputs) for i in range(2)]
    x = L.Add()([L.ReLU()(norm(both(x))) for x in own])
    return keras.Model(inputs, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x)))


def branches():
    """Two branches that only the head reads."""
    inputs = keras.Input((4,))
    ends = [L.Dense(24, activation)(inputs) for activation in ("relu", "tanh")]
    return keras.Model(inputs, L.Dense(3)(L.Concatenate()(ends)))


def backbone(size=(8, 8)):
    """A nested network, of images of any size if none is given."""
    inner = keras.Sequential(
        [
            keras.Input((*size, 3)),
            L.Conv2D(4, 3, activation="relu"),
            L.BatchNormalization(),
            L.Conv2D(4, 3),
            L.GlobalAveragePooling2D(),
        ]
    )
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Dense(3)(inner(inputs)))


NETWORKS = {
    "dense": dense,
    "convolutions": convolutions,
    "residual": residual,
    "post-activation": post_activation,
    "nested": nested,
    "heads": heads,
}


def pair(build, examples=80):
    """Two networks with weights and moments that differ everywhere, and inputs."""
    rng = np.random.default_rng(0)
    models = build(), build()
    for model in models:
        for variable in model.weights:
            scale = 1 / np.sqrt(max(np.prod(variable.shape[:-1]), 1.0))
            value = rng.normal(size=variable.shape) * scale
            if "variance" in variable.path or "gamma" in variable.path:
                value = 1 + 0.5 * rng.random(variable.shape)
            variable.assign(value)
    x = rng.normal(size=(examples, *models[0].input_shape[1:])).astype("float32")
    return *models, x
