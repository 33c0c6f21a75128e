"""Networks that the evaluation engine divides in different ways: name to a function of the seed."""

import keras

from tests.networks import batch_norm_network, dense_network

layers = keras.layers


def _sequential(seed, shape, *inner, dtype="float32"):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(shape, dtype=dtype), *inner])


def _residual(seed):
    """The input goes around the first layer, which cannot be divided from the rest."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    x = layers.Add()([layers.Dense(5, activation="relu")(inputs), inputs])
    return keras.Model(inputs, layers.Dense(3)(layers.Dense(7, activation="tanh")(x)))


def _applied_twice(seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((200,))
    layer = layers.Dense(200, activation="relu")
    return keras.Model(inputs, layers.Dense(3)(layer(layer(inputs))))


def _masked(seed):
    """The embedding is the same for every seed, and its mask goes on to the LSTM."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(3, 6, "uniform", mask_zero=True)(inputs)
    keras.utils.set_random_seed(seed)
    return keras.Model(inputs, layers.Dense(3)(layers.LSTM(5)(layers.Dense(7)(x))))


def _mixed_precision(seed):
    keras.utils.set_random_seed(seed)
    policy = "mixed_float16"
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(7, activation="relu", dtype=policy),
            layers.Dense(3, dtype=policy),
        ]
    )


def _nested(seed):
    keras.utils.set_random_seed(seed)
    inner = keras.Sequential([keras.Input((7,)), layers.Dense(6, activation="relu")])
    return _sequential(seed, (5,), layers.Dense(7, activation="relu"), inner, layers.Dense(3))


ARCHITECTURES = {
    "dense": dense_network,
    "deep": lambda seed: dense_network(seed, widths=(7, 6)),
    "without biases": lambda seed: _sequential(
        seed, (5,), layers.Dense(7, "relu", use_bias=False), layers.Dense(3, use_bias=False)
    ),
    "probabilities": lambda seed: _sequential(
        seed, (5,), layers.Dense(7, "tanh"), layers.Dropout(0.5), layers.Dense(3, "softmax")
    ),
    "pixels": lambda seed: _sequential(
        seed,
        (6, 6, 2),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Flatten(),
        layers.Dense(7, "relu"),
        layers.Dense(3),
        dtype="uint8",
    ),
    "convolutions": lambda seed: _sequential(
        seed,
        (6, 6, 2),
        layers.Conv2D(5, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "wide convolution": lambda seed: _sequential(
        seed, (6, 6, 40), layers.Conv2D(3, 5), layers.ReLU(), layers.Flatten(), layers.Dense(3)
    ),
    "batch norm": batch_norm_network,
    "dense batch norm": lambda seed: _sequential(
        seed, (5,), layers.Dense(7), layers.BatchNormalization(), layers.ReLU(), layers.Dense(3)
    ),
    "batch norm first": lambda seed: _sequential(
        seed, (5,), layers.BatchNormalization(), layers.Dense(7, "relu"), layers.Dense(3)
    ),
    "residual": _residual,
    "applied twice": _applied_twice,
    "masked": _masked,
    "undivided": lambda seed: _sequential(
        seed, (4, 6), layers.Masking(), layers.Dense(9), layers.LSTM(5), layers.Dense(3)
    ),
    "mixed precision": _mixed_precision,
    "nested": _nested,
}
