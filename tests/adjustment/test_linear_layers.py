"""Linear layers as matrices on rows of features."""

import keras
import numpy as np
import pytest

from mc_keras.adjustment.linear_layers import LinearLayer, is_linear
from mc_keras.weight_space import WeightSpace

LAYERS = {
    "dense": (keras.layers.Dense(4), (5,)),
    "dense without bias": (keras.layers.Dense(4, use_bias=False), (5,)),
    "dense on a sequence": (keras.layers.Dense(4), (6, 5)),
    "valid": (keras.layers.Conv2D(4, 3), (7, 6, 3)),
    "same": (keras.layers.Conv2D(4, 3, padding="same"), (7, 6, 3)),
    "even kernel": (keras.layers.Conv2D(4, (2, 4), padding="same"), (7, 6, 3)),
    "strides": (keras.layers.Conv2D(4, 3, strides=2, padding="same"), (8, 7, 3)),
    "valid strides": (keras.layers.Conv2D(4, 3, strides=(2, 3)), (8, 9, 3)),
    "dilation": (keras.layers.Conv2D(4, 3, dilation_rate=2, padding="same"), (8, 9, 3)),
    "dilation, valid": (keras.layers.Conv2D(4, 3, dilation_rate=2), (8, 9, 3)),
    "without bias": (keras.layers.Conv2D(4, 1, use_bias=False), (5, 5, 3)),
    "one dimension": (keras.layers.Conv1D(4, 3, strides=2, padding="same"), (9, 3)),
    "three dimensions": (keras.layers.Conv3D(4, 2, padding="same"), (4, 3, 5, 2)),
}


@pytest.mark.parametrize("positions", [3, 1000])
@pytest.mark.parametrize("name", LAYERS)
def test_features_times_matrix_are_the_outputs(name, positions):
    template, shape = LAYERS[name]
    layer = type(template).from_config(template.get_config() | {"bias_initializer": "normal"})
    model = keras.Sequential([keras.Input(shape), layer])
    space = WeightSpace(model)
    variables = {id(v): i for i, v in enumerate(space.variables)}
    linear = LinearLayer(layer, variables, shape, positions, np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(6, *shape)).astype("float32")
    outputs = model.predict(x, verbose=0)
    point = space.read()
    bias = None if linear.bias is None else point[linear.bias]
    matrix = linear.matrix(point[linear.kernel], bias)
    rows = linear.features(x, 0)
    assert rows.shape[1] == linear.num_features == matrix.shape[0]
    np.testing.assert_allclose(rows @ matrix, linear.targets(outputs, 0), atol=1e-5)
    np.testing.assert_allclose(linear.linear(x, point[linear.kernel], bias), outputs, atol=1e-5)
    for index, array in linear.arrays(matrix).items():
        if index is not None:
            np.testing.assert_array_equal(array, point[index])


def test_positions_are_drawn_anew_for_each_example_and_kept():
    layer = keras.layers.Conv2D(2, 1)
    model = keras.Sequential([keras.Input((8, 8, 1)), layer])
    variables = {id(v): i for i, v in enumerate(WeightSpace(model).variables)}
    linear = LinearLayer(layer, variables, (8, 8, 1), 4, np.random.default_rng(0))
    x = np.arange(2 * 64, dtype="float32").reshape(2, 8, 8, 1)
    rows = linear.features(x, 0)[:, 0].reshape(2, 4)
    assert len(set(rows[0])) == len(set(rows[1])) == 4
    assert set(rows[0]) != set(rows[1] - 64)
    np.testing.assert_array_equal(linear.features(x, 0)[:, 0].reshape(2, 4), rows)
    assert not np.array_equal(linear.features(x, 500)[:, 0].reshape(2, 4), rows)


def test_which_layers_can_be_solved_for():
    class Own(keras.layers.Dense):
        pass

    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 1, groups=2)])
    assert not is_linear(model.layers[0])
    for layer in (Own(3), keras.layers.DepthwiseConv2D(3), keras.layers.Conv2DTranspose(3, 3)):
        keras.Sequential([keras.Input((8, 8, 4)), layer])
        assert not is_linear(layer)
