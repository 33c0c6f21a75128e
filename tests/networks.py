"""Small networks and data for tests; sizes differ everywhere, so that a swapped axis fails."""

import keras
import numpy as np


def classification_data(shape=(8,), examples=256, classes=3, seed=0):
    """Inputs and labels that a small network can learn."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(examples, *shape)).astype("float32")
    flat = x.reshape(examples, -1)
    y = np.argmax(flat @ generator.normal(size=(flat.shape[1], classes)), axis=1)
    return x, y


def dense_network(seed=0, widths=(7,), inputs=5, outputs=3, activation="relu"):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(width, activation=activation) for width in widths]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs)])


def batch_norm_network(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(5, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization()(x)
    skip = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(5, 3, padding="same")(skip)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Add()([x, skip])
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def train(model, x, y, epochs=5):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=epochs, verbose=0)
    return model
