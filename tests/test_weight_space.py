import keras
import numpy as np
import pytest

from mc_keras.weight_space import WeightSpace, check_finite
from tests.networks import batch_norm_network, dense_network


def test_variables_and_states_are_the_weights_of_the_model():
    model = batch_norm_network()
    space = WeightSpace(model)
    assert {id(v) for v in space.variables} == {id(v) for v in model.trainable_variables}
    assert [v.name for v in space.state_variables] == ["moving_mean", "moving_variance"] * 2
    assert len(space.seed_variables) == 1
    assert all(
        any(v is w for w in layer.trainable_variables)
        for v, layer in zip(space.variables, space.owners, strict=True)
    )


def test_frozen_layers_stay_on_the_path():
    model = dense_network()
    before = [v.path for v in WeightSpace(model).variables]
    model.layers[0].trainable = False
    assert [v.path for v in WeightSpace(model).variables] == before


def test_call_at_a_point_equals_a_model_with_those_weights():
    rng = np.random.default_rng(0)
    model = batch_norm_network()
    space = WeightSpace(model)
    before = space.read()
    point = [rng.normal(size=v.shape).astype("float32") for v in space.variables]
    state = [rng.uniform(0.5, 1, size=v.shape).astype("float32") for v in space.state_variables]
    x = rng.normal(size=(4, 6, 6, 2)).astype("float32")
    at_point = keras.ops.convert_to_numpy(space(point, x, state=state))
    for a, b in zip(before, space.read(), strict=True):
        np.testing.assert_array_equal(a, b)
    space.write(point, state)
    np.testing.assert_allclose(at_point, model(x, training=False), atol=1e-6)


def test_unbuilt_and_empty_models_are_refused():
    with pytest.raises(ValueError, match="unbuilt weights"):
        WeightSpace(keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match="no weights"):
        WeightSpace(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]))
    with pytest.raises(TypeError, match="Expected a Keras model"):
        WeightSpace("model.keras")


def test_nan_weights_are_named():
    space = WeightSpace(dense_network())
    point = space.read()
    check_finite(point, space, "start")
    point[1][2] = np.nan
    with pytest.raises(ValueError, match=r"dense.*/bias' of the start model holds NaN"):
        check_finite(point, space, "start")


def test_wrong_points_are_refused():
    space = WeightSpace(dense_network())
    with pytest.raises(ValueError, match="has 4 arrays, received 3"):
        space.write(space.read()[:3])
    point = space.read()
    point[0] = point[0].T
    with pytest.raises(ValueError, match=r"has shape \(5, 7\), received .* \(7, 5\)"):
        space.write(point)
