"""Small populations of networks with one hidden layer."""

import numpy as np
import pytest

from tests.networks import classification_data, dense_network, train


@pytest.fixture(scope="session")
def data():
    return classification_data((5,))


@pytest.fixture(scope="session")
def population(data):
    """Six networks of 12 hidden units, D = 9: four to learn from, a pair outside."""
    return [train(dense_network(seed, widths=(12,)), *data, epochs=6) for seed in range(6)]


@pytest.fixture
def generator():
    return np.random.default_rng(3)
