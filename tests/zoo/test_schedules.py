"""Learning rates of a training."""

import re

import keras
import numpy as np
import pytest

from mc_keras.zoo.recipes import Recipe
from mc_keras.zoo.schedules import learning_rates


def recipe(**options):
    return Recipe(
        **{
            "name": "tiny",
            "dataset": "digits",
            "architecture": "fully_connected",
            "config": {},
            "epochs": 1,
            "learning_rate": 0.4,
            **options,
        }
    )


def rates(steps, **options):
    schedule = learning_rates(recipe(**options), steps)
    copy = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    found = [float(schedule(keras.ops.cast(step, "int64"))) for step in range(steps)]
    assert [float(copy(step)) for step in range(steps)] == pytest.approx(found)
    return np.array(found)


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    found = rates(100, warmup=0.2)
    np.testing.assert_allclose(found[:21], 0.4 * np.arange(21) / 20, rtol=1e-6)
    falling = 0.2 * (1 + np.cos(np.pi * np.arange(80) / 80))
    np.testing.assert_allclose(found[20:], falling, rtol=1e-5, atol=1e-7)


def test_without_warmup_the_rate_only_falls():
    found = rates(100, warmup=0.0)
    assert found[0] == pytest.approx(0.4)
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_cycles_are_alike(warmup):
    once = rates(50, warmup=warmup)
    np.testing.assert_allclose(rates(150, warmup=warmup, cycles=(1, 1, 1)), np.tile(once, 3))


def test_the_training_ends_with_a_cycle_where_steps_do_not_divide():
    found = rates(101, cycles=(1, 1))
    assert found[-1] < 0.01 * found.max()
    assert (found[51:61] < found[61]).all()


def test_cycles_have_the_sizes_they_are_given():
    expected = np.concatenate([rates(100), rates(50)])
    np.testing.assert_allclose(rates(150, cycles=(2, 1)), expected)


@pytest.mark.parametrize("cycles", [(), (0,), (2, -1), (1,) * 11])
def test_as_many_cycles_as_there_are_steps(cycles):
    steps = 10
    with pytest.raises(ValueError, match=re.escape(f"cycles={cycles}, for {steps} batches")):
        learning_rates(recipe(cycles=cycles), steps)
