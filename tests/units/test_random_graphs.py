"""Permuting every group of a random model leaves its function unchanged."""

import keras
import pytest
from hypothesis import HealthCheck, given, settings

from mc_keras.units import unit_groups
from tests.units.networks import assert_same_function, random_inputs, randomize
from tests.units.random_graphs import models

# Keras draws the seeds of initializers from the random module.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, print_blob=False
)


def check(model):
    keras.backend.clear_session(free_memory=False)
    randomize(model)
    assert_same_function(model, unit_groups(model), random_inputs(model), rtol=1e-8)


@settings(SETTINGS, max_examples=60)
@given(model=models())
def test_random_models(model):
    check(model)


@pytest.mark.slow
@settings(SETTINGS, max_examples=600)
@given(model=models(max_steps=12))
def test_many_random_models(model):
    check(model)
