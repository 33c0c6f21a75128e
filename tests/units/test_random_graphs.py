"""Random models: what permuting and freeing units must leave unchanged, and matching undo."""

import keras
import pytest
from hypothesis import HealthCheck, given, settings

from mc_keras.units import unit_groups
from tests.units.networks import (
    assert_planted_is_found,
    assert_same_function,
    assert_slots_are_free,
    random_inputs,
    randomize,
)
from tests.units.random_graphs import models

# Keras draws the seeds of initializers from the random module.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, print_blob=False
)


def check(model):
    keras.backend.clear_session(free_memory=False)
    randomize(model)
    arrays, groups = random_inputs(model), unit_groups(model)
    assert_same_function(model, groups, arrays, rtol=1e-8)
    assert_slots_are_free(model, groups, arrays)
    assert_planted_is_found(model)


@settings(SETTINGS, max_examples=40)
@given(model=models())
def test_random_models(model):
    check(model)


@pytest.mark.slow
@settings(SETTINGS, max_examples=600)
@given(model=models(max_steps=12))
def test_many_random_models(model):
    check(model)
