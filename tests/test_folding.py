"""Batch norm folded into the layers before it: the same outputs from fewer layers."""

import keras
import numpy as np
import pytest
from keras import layers

import mc_keras as mc
from mc_keras.zoo import architectures

PIXELS = {"pixel_mean": (0.3,), "pixel_std": (0.4,)}


def randomised(model, seed=0):
    """The model with weights and statistics that no initializer would give."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.3, 1.0, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def norms(model):
    return [x.name for x in model.layers if isinstance(x, layers.BatchNormalization)]


def assert_same_outputs(first, second, shape):
    x = np.random.default_rng(1).normal(size=(5, *shape)).astype("float32")
    expected = np.asarray(first(x))
    np.testing.assert_allclose(second(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def chain(dimensions, convolution, **options):
    return keras.Sequential(
        [
            keras.Input((9,) * dimensions + (2,)),
            convolution(3, 3, use_bias=False),
            layers.BatchNormalization(**options),
            layers.ReLU(),
            convolution(4, 2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(5),
            layers.BatchNormalization(),
        ]
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False, "epsilon": 0.1}])
def test_outputs_stay(dimensions, options):
    convolution = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[dimensions - 1]
    model = randomised(chain(dimensions, convolution, **options))
    folded = mc.fold_batch_norm(model)
    assert isinstance(folded, keras.Sequential)
    assert not norms(folded)
    assert_same_outputs(model, folded, model.input_shape[1:])


def test_vgg_becomes_the_network_without_batch_norm():
    config = {**PIXELS, "stages": ((4, 5), (6,)), "hidden": (7,)}
    model = randomised(architectures.build("vgg", (8, 8, 1), 10, **config, batch_norm=True))
    plain = architectures.build("vgg", (8, 8, 1), 10, **config)
    folded = mc.fold_batch_norm(model)
    assert [x.name for x in folded.layers] == [x.name for x in plain.layers]
    plain.set_weights(folded.get_weights())
    assert_same_outputs(model, plain, (8, 8, 1))


def test_norms_that_read_anything_else_stay():
    x = inputs = keras.Input((6,))
    shared = layers.Dense(6, name="shared")
    x = shared(shared(x))
    x = layers.BatchNormalization(name="after_shared")(x)
    read_twice = layers.Dense(6)(x)
    x = layers.BatchNormalization(name="read_twice")(read_twice)
    x = layers.Add()([x, read_twice])
    x = layers.BatchNormalization(name="after_sum")(x)
    x = layers.Dense(6, activation="relu")(x)
    x = layers.BatchNormalization(name="after_relu")(x)
    x = layers.Dense(6)(x)
    x = layers.BatchNormalization(name="folded")(x)
    output = layers.Dense(3)(x)
    model = randomised(
        keras.Model(inputs, [layers.BatchNormalization(name="after_output")(output), output])
    )
    folded = mc.fold_batch_norm(model)
    assert norms(folded) == [
        "after_shared", "read_twice", "after_sum", "after_relu", "after_output",
    ]  # fmt: skip
    x = np.random.default_rng(1).normal(size=(5, 6)).astype("float32")
    for first, second in zip(model(x), folded(x), strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-4)


@pytest.mark.parametrize(("axis", "stays"), [(1, True), (2, False), (-1, False)])
def test_norms_over_the_steps_of_a_sequence_stay(axis, stays):
    """As many steps as units: the axis of the norm cannot be told from shapes of weights."""
    sequence = [keras.Input((6, 4)), layers.Dense(6), layers.BatchNormalization(axis=axis)]
    model = randomised(keras.Sequential([*sequence, layers.Dense(3)]))
    folded = mc.fold_batch_norm(model)
    assert bool(norms(folded)) == stays
    assert_same_outputs(model, folded, (6, 4))


def test_layers_that_only_derive_from_linear_ones_stay():
    class Standardized(layers.Dense):
        def call(self, x):
            kernel = self.kernel / keras.ops.norm(self.kernel, axis=0)
            return keras.ops.matmul(x, kernel) + self.bias

    tail = [Standardized(5), layers.BatchNormalization(), layers.Lambda(lambda x: 2 * x)]
    inner = keras.Sequential([keras.Input((5,)), Standardized(4), layers.Lambda(lambda x: x + 1)])
    model = randomised(keras.Sequential([keras.Input((4,)), *tail, inner]))
    folded = mc.fold_batch_norm(model)
    assert norms(folded)
    assert_same_outputs(model, folded, (4,))


def test_nested_models_stay_as_they_are():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()])
    inputs = keras.Input((4,))
    model = randomised(keras.Model(inputs, layers.BatchNormalization()(inner(inputs))))
    assert_same_outputs(model, mc.fold_batch_norm(model), (4,))


def test_other_models_are_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="built Sequential and Functional models"):
        mc.fold_batch_norm(Own())


def test_calls_by_keyword():
    inputs = keras.Input((4,))
    hidden = keras.layers.BatchNormalization()(inputs=keras.layers.Dense(5)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(mc.fold_batch_norm(model)(x), model(x), atol=1e-6)
