import keras
import numpy as np
import pytest

from mc_keras.units import permute, permute_all, unit_groups
from mc_keras.weight_space import WeightSpace
from tests.units.networks import random_permutations, randomize

L = keras.layers


@pytest.fixture
def network():
    layers = [L.Conv2D(5, 2), L.BatchNormalization(), L.Flatten(), L.Dense(7), L.Dense(3)]
    model = randomize(keras.Sequential([keras.Input((3, 3, 2)), *layers]))
    return WeightSpace(model), unit_groups(model)


def test_unit_u_of_the_result_is_unit_p_of_u(network):
    space, (group, _) = network
    point, state = space.read(), space.read_state()
    permutation = np.array([3, 0, 4, 2, 1])
    permuted, permuted_state = permute(group, permutation, point, state)
    np.testing.assert_array_equal(permuted[0], point[0][..., permutation])
    for array, original in zip(permuted_state, state, strict=True):
        np.testing.assert_array_equal(array, original[permutation])
    np.testing.assert_array_equal(group.rows(permuted), group.rows(point)[permutation])


def test_the_inverse_undoes_a_permutation_exactly(network):
    space, groups = network
    point, state = space.read(), space.read_state()
    permutations = random_permutations(groups)
    there = permute_all(groups, permutations, point, state)
    back, back_state = permute_all(groups, [np.argsort(p) for p in permutations], *there)
    for a, b in zip(back + back_state, point + state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_a_state(network):
    space, (group, _) = network
    assert permute(group, np.arange(5), space.read())[1] is None


@pytest.mark.parametrize("wrong", [[0, 1, 2, 3], [0, 0, 1, 2, 3], [1, 2, 3, 4, 5], [0.5] * 5])
def test_not_a_permutation(network, wrong):
    space, (group, _) = network
    with pytest.raises(ValueError, match=r"'conv2d.*' holds each of 0 \.\.\. 4 once"):
        permute(group, wrong, space.read())
