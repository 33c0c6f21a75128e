import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.layers import CurveLayer
from mc_keras.weight_space import WeightSpace

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(3, 7, 6, 2)).astype("float32")
SERIES = RNG.normal(size=(3, 5, 4)).astype("float32")
ROWS = RNG.normal(size=(3, 5)).astype("float32")
VOLUME = RNG.normal(size=(3, 4, 5, 6, 2)).astype("float32")
TOKENS = RNG.integers(0, 9, size=(3, 5))

layers = keras.layers
LAYERS = {
    "Dense": (lambda: layers.Dense(4, activation="relu"), ROWS),
    "Conv1D": (lambda: layers.Conv1D(3, 2), SERIES),
    "Conv2D": (lambda: layers.Conv2D(3, 3, strides=2, padding="same"), IMAGE),
    "Conv3D": (lambda: layers.Conv3D(3, 2), VOLUME),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(3, 2), IMAGE),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(3, 3), IMAGE),
    "BatchNormalization": (lambda: layers.BatchNormalization(), IMAGE),
    "LayerNormalization": (lambda: layers.LayerNormalization(), IMAGE),
    "Embedding": (lambda: layers.Embedding(9, 4), TOKENS),
    "LSTM": (lambda: layers.LSTM(3, return_sequences=True), SERIES),
    "GRU": (lambda: layers.GRU(3), SERIES),
    "Bidirectional": (lambda: layers.Bidirectional(layers.LSTM(3)), SERIES),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(2, 3), (SERIES, SERIES[:, :4])),
    "PReLU": (lambda: layers.PReLU(), ROWS),
    "Sequential": (
        lambda: keras.Sequential([layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(2)]),
        IMAGE,
    ),
}


def randomised(space):
    return [RNG.normal(size=v.shape).astype("float32") for v in space.variables]


def arguments(inputs):
    return inputs if isinstance(inputs, tuple) else (inputs,)


@pytest.fixture(params=LAYERS)
def case(request):
    make, inputs = LAYERS[request.param]
    plain = make()
    plain(*arguments(inputs))
    curved = CurveLayer(
        type(plain).from_config(plain.get_config()),
        curve=mc.Bezier(3),
        fix_start=False,
        fix_end=False,
    )
    curved(inputs, 0.5)
    return curved, plain, inputs


@pytest.mark.parametrize("training", [False, True])
def test_output_is_the_plain_layers_at_the_interpolated_weights(case, training):
    curved, plain, inputs = case
    space = WeightSpace(plain)
    points = [randomised(space) for _ in range(3)]
    curved.set_ends(points[0], points[2])
    for variable, value in zip(curved.control_points[1], points[1], strict=True):
        variable.assign(value)
    for t in (0.0, 0.25, 1.0):
        c = curved.curve(t)
        space.write([sum(c[k] * points[k][i] for k in range(3)) for i in range(len(points[0]))])
        has_training = plain._call_has_training_arg
        expected = plain(*arguments(inputs), **({"training": training} if has_training else {}))
        for variable, value in zip(space.state_variables, space.read_state(), strict=True):
            variable.assign(value * 0 + (variable.name == "moving_variance"))
        np.testing.assert_allclose(
            curved(inputs, t, training=training), expected, rtol=1e-4, atol=1e-4
        )


def test_gradients_reach_every_control_point(case):
    import tensorflow as tf

    curved, _, inputs = case
    points = [randomised(curved.space) for _ in range(2)]
    curved.set_ends(*points)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(curved(inputs, 0.25, training=True)))
    gradients = tape.gradient(loss, [v.value for v in curved.trainable_variables])
    per_point = np.array_split(np.arange(len(gradients)), 3)
    for k, c in enumerate(curved.curve(0.25)):
        for i, j in zip(per_point[0], per_point[k], strict=True):
            first, other = (tf.convert_to_tensor(gradients[index]) for index in (i, j))
            scale = c / curved.curve(0.25)[0]
            np.testing.assert_allclose(other, scale * first, rtol=1e-3, atol=1e-3)


def test_config_and_weights_round_trip(case, tmp_path):
    curved, _, inputs = case
    curved.set_ends(*[randomised(curved.space) for _ in range(2)])
    again = CurveLayer.from_config(curved.get_config())
    again(inputs, 0.5)
    again.set_weights(curved.get_weights())
    np.testing.assert_allclose(again(inputs, 0.3), curved(inputs, 0.3), atol=1e-6)


def test_only_the_control_points_are_weights(case):
    curved, plain, _ = case
    assert len(curved.trainable_variables) == 3 * len(plain.trainable_variables)
    ids = {id(v) for v in curved.variables}
    assert not ids & {id(v) for v in curved.template().variables}


def test_fixed_ends_are_not_trained():
    curved = CurveLayer(keras.layers.Dense(2), curve=mc.Bezier(4))
    curved(ROWS, 0.5)
    assert len(curved.trainable_variables) == 2 * 2


def test_frozen_weights_are_not_trained():
    dense = keras.layers.Dense(2, trainable=False)
    curved = CurveLayer(dense, fix_start=False, fix_end=False)
    curved(ROWS, 0.5)
    assert curved.trainable_variables == []
    assert len(curved.control_points) == 3


def test_regularisers_act_on_the_interpolated_weights():
    dense = keras.layers.Dense(2, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5))
    curved = CurveLayer(dense, curve=mc.Bezier(2), weight_decay=0.1)
    curved(ROWS, 0.5)
    a, b = (RNG.normal(size=(5, 2)).astype("float32") for _ in range(2))
    curved.set_ends([a], [b])
    curved(ROWS, 0.25)
    square = np.sum((0.75 * a + 0.25 * b) ** 2)
    total = sum(float(loss) for loss in curved.losses)
    np.testing.assert_allclose(total, 0.5 * square + 0.05 * square, rtol=1e-5)


def test_dropout_draws_a_new_mask_in_every_call():
    curved = CurveLayer(keras.Sequential([keras.Input((5,)), layers.Dense(9), layers.Dropout(0.5)]))
    first, second = (np.array(curved(ROWS, 0.5, training=True)) for _ in range(2))
    assert not np.array_equal(first == 0, second == 0)
    again = CurveLayer.from_config(curved.get_config())
    assert np.array_equal(np.array(again(ROWS, 0.5, training=True)) == 0, first == 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    dense = keras.layers.Dense(
        2, dtype=policy, use_bias=False, kernel_regularizer=keras.regularizers.L2(1.0)
    )
    curved = CurveLayer(dense, curve=mc.Bezier(2))
    assert keras.backend.standardize_dtype(curved(ROWS, 0.5).dtype) == policy[6:]
    # 400 squares of 300**2 overflow float16.
    large = np.full((5, 2), 3000.0, "float32")
    curved.set_ends([large], [large])
    curved(ROWS, 0.5)
    np.testing.assert_allclose(float(curved.losses[0]), 9e7, rtol=1e-3)
    assert {v.dtype for v in curved.weights} == {"float32"}


def test_a_network_of_curve_layers_trains_with_t_as_an_input(tmp_path):
    x, t = keras.Input((5,)), keras.Input((), name="t")
    hidden = CurveLayer(layers.Dense(7, activation="relu"), fix_start=False, fix_end=False)(x, t)
    outputs = CurveLayer(layers.Dense(3), fix_start=False, fix_end=False)(hidden, t)
    model = keras.Model([x, t], outputs)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    positions = np.full(len(ROWS), 0.3, "float32")
    history = model.fit([ROWS, positions], np.array([0, 1, 2]), epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(
        again.predict([ROWS, positions], verbose=0),
        model.predict([ROWS, positions], verbose=0),
        atol=1e-6,
    )


def test_bad_arguments():
    with pytest.raises(TypeError, match="wraps a Keras layer, received str"):
        CurveLayer("dense")
    with pytest.raises(ValueError, match="has no weights yet"):
        _ = CurveLayer(keras.layers.Dense(2)).space


def test_layers_that_change_their_weights_when_called_are_refused():
    layer = keras.layers.SpectralNormalization(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="SpectralNormalization. changes its weights"):
        CurveLayer(keras.Sequential([keras.Input((4,)), layer]))
