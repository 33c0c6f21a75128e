import keras
import numpy as np
import pytest

from mc_keras.evaluation.division import DividedModel, divide, kernel_and_bias
from mc_keras.weight_space import WeightSpace
from tests.contracts.architectures import ARCHITECTURES


def layer_names(space, division):
    model = space.model
    return [
        None if index is None else type(model.layers[index]).__name__
        for index in (division.start, division.layer)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dense", ["Dense", "Dense"]),
        ("pixels", ["Dense", "Dense"]),
        ("batch norm", ["Conv2D", "Conv2D"]),
        ("batch norm first", ["BatchNormalization", "BatchNormalization"]),
        ("residual", ["Dense", "Dense"]),
    ],
)
def test_the_weight_free_part_ends_where_the_weights_begin(name, expected):
    space = WeightSpace(ARCHITECTURES[name](0))
    division = divide(space, [True] * len(space.variables), [False] * len(space.state_variables))
    assert layer_names(space, division) == expected


def test_layers_that_stand_still_are_below():
    space = WeightSpace(ARCHITECTURES["deep"](0))
    division = divide(space, [False, False, False, True, True, True], [])
    assert (division.start, division.layer) == (0, 1)


@pytest.mark.parametrize("moving", [None, 0, 2, 4])
@pytest.mark.parametrize("name", ["deep", "pixels", "convolutions", "probabilities"])
def test_the_parts_together_are_the_model(name, moving):
    space = WeightSpace(ARCHITECTURES[name](0))
    count = len(space.variables)
    moves = [moving is None or i >= moving for i in range(count)]
    if not any(moves):
        moves = [True] * count
    division = divide(space, moves, [])
    kernel, bias = kernel_and_bias(space, division.layer)
    assert kernel is not None
    point, state = space.read(), space.read_state()
    x = np.random.default_rng(0).uniform(0, 255, (4, *space.model.input_shape[1:]))
    x = x.astype(space.model.inputs[0].dtype)
    expected = space.model(x, training=False)
    divided = DividedModel(space, division)
    features = divided.below(point, state, divided.prefix(state, x))
    outputs, _ = divided.after_input(point, state, features)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    divided = DividedModel(space, division._replace(linear=True))
    (product,) = divided.products(features, [point[kernel]])
    outputs, _ = divided.after_product(point, state, product, point[bias])
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_a_skip_around_the_first_layer_keeps_its_products():
    space = WeightSpace(ARCHITECTURES["residual"](0))
    assert kernel_and_bias(space, 1) == (None, None)


def test_mixed_precision_rounds_the_kernel_of_each_point():
    space = WeightSpace(ARCHITECTURES["mixed precision"](0))
    assert kernel_and_bias(space, 0) == (None, None)


def test_a_layer_that_is_applied_twice_keeps_its_products():
    inputs = keras.Input((5,))
    layer = keras.layers.Dense(5)
    space = WeightSpace(keras.Model(inputs, layer(layer(inputs))))
    assert kernel_and_bias(space, 1) == (None, None)


def test_a_mask_is_not_lost():
    inputs = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(inputs)
    features = keras.layers.Dense(4)(embedded)
    space = WeightSpace(keras.Model(inputs, keras.layers.LSTM(2)(features)))
    division = divide(space, [False, *[True] * 5], [])
    assert layer_names(space, division) == ["Embedding", "Embedding"]


def test_only_products_and_elementwise_are_fused():
    def is_dense(name):
        space = WeightSpace(ARCHITECTURES[name](0))
        moves = [True] * len(space.variables)
        return DividedModel(space, divide(space, moves, [])).is_dense

    assert is_dense("deep")
    assert is_dense("pixels")
    assert not is_dense("convolutions")


def test_layers_that_take_several_tensors_are_no_cut():
    layers = keras.layers
    inputs = keras.Input((7,), dtype="int32")
    steps = layers.Embedding(9, 5, mask_zero=True, trainable=False)(inputs)
    attention = layers.MultiHeadAttention(2, 4)(steps, steps)
    masked = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(attention)))
    space = WeightSpace(masked)
    moving = ["embedding" not in variable.path for variable in space.variables]
    division = divide(space, moving, [])
    assert layer_names(space, division) == ["Embedding", "Embedding"]
    inputs = keras.Input((7, 5))
    attention = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    first = WeightSpace(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(attention))))
    division = divide(first, [True] * len(first.variables), [])
    assert layer_names(first, division) == [None, None]
