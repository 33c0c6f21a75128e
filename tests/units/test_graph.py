"""The walk visits what the model computes: with real arrays it gives the outputs of the model."""

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.units.graph import interpret
from tests.units.layer_models import MODELS
from tests.units.networks import outputs, random_inputs, randomize


def run(op, args, kwargs, results, path):
    return keras.tree.flatten(op(*args, **kwargs))


def flat(values):
    return np.concatenate([keras.ops.convert_to_numpy(value).ravel() for value in values])


@pytest.mark.parametrize(
    "name", ["residual", "called twice", "nested, called twice", "two outputs"]
)
def test_walking_on_arrays_is_calling_the_model(name):
    model = randomize(MODELS[name][0]())
    arrays = [keras.ops.convert_to_tensor(array) for array in random_inputs(model)]
    values = flat(interpret(model, arrays, run))
    np.testing.assert_allclose(values, outputs(model, arrays), rtol=1e-12)


def test_calls_of_other_models_are_not_visited():
    inputs = keras.Input((4,))
    layer = keras.layers.Dense(4, name="shared")
    hidden = layer(inputs)
    layer(hidden)
    keras.Model(hidden, keras.layers.Dense(2)(hidden))
    seen = []

    def note(op, args, kwargs, results, path):
        seen.append(path)
        return [None] * len(results)

    interpret(keras.Model(inputs, hidden), [None], note)
    assert seen == ["shared"]


def test_paths_of_nested_models():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="deep")], name="block")
    inputs = keras.Input((4,))
    seen = []

    def note(op, args, kwargs, results, path):
        seen.append(path)
        return [None]

    interpret(keras.Model(inputs, inner(inputs)), [None], note)
    assert seen == ["block/deep"]


def test_a_nested_model_that_is_given_a_mask_stays_whole():
    inputs = keras.Input((3, 4))
    hidden = keras.layers.Dense(5, activation="relu")(inputs)
    mask = keras.ops.any(hidden > 0.5, axis=-1)
    steps = keras.Input((3, 5))
    block = keras.Model(steps, keras.layers.GlobalAveragePooling1D()(steps), name="block")
    pooled = block(hidden, mask=mask)
    model = randomize(keras.Model(inputs, keras.layers.Dense(2)(pooled)))
    arrays = [keras.ops.convert_to_tensor(array) for array in random_inputs(model)]
    values = flat(interpret(model, arrays, run))
    np.testing.assert_allclose(values, outputs(model, arrays), rtol=1e-12)
    with pytest.raises(ValueError, match="'block'"):
        mc.unit_groups(model)
    assert not mc.unit_groups(model, on_unknown="end")
