"""Butterflies: the weights of a group as a matrix, and back."""

import keras
import numpy as np
import pytest

from mc_keras.units import permute, unit_groups
from mc_keras.weight_space import WeightSpace
from tests.units.layer_models import MODELS
from tests.units.networks import random_permutations, randomize

L = keras.layers


def one_hidden_layer():
    model = randomize(keras.Sequential([keras.Input((4,)), L.Dense(5), L.Dense(3)]))
    (group,) = unit_groups(model)
    return model, group


def test_rows_of_one_hidden_layer():
    model, group = one_hidden_layer()
    kernel, bias, next_kernel, _ = point = WeightSpace(model).read()
    expected = np.hstack([kernel.T, bias[:, None], next_kernel])
    np.testing.assert_array_equal(group.rows(point), expected)
    np.testing.assert_array_equal(group.rows(point, role="in"), expected[:, :5])
    np.testing.assert_array_equal(group.rows(point, role="out"), next_kernel)
    assert [(axis.variable, axis.axis, axis.role) for axis in group.axes] == [
        (0, 1, "in"),
        (1, 0, "in"),
        (2, 0, "out"),
    ]


def test_rows_behind_flatten_hold_a_block_for_each_position():
    model = keras.Sequential([keras.Input((3, 2, 2)), L.Conv2D(4, 1), L.Flatten(), L.Dense(5)])
    group = unit_groups(randomize(model))[0]
    kernel, bias, dense_kernel, _ = point = WeightSpace(model).read()
    blocks = dense_kernel.reshape(6, 4, 5).transpose(1, 0, 2).reshape(4, -1)
    expected = np.hstack([kernel.reshape(2, 4).T, bias[:, None], blocks])
    np.testing.assert_array_equal(group.rows(point), expected)


def test_rows_behind_concatenate_start_at_an_offset():
    inputs = keras.Input((4,))
    branches = [L.Dense(2)(inputs), L.Dense(3)(inputs)]
    model = randomize(keras.Model(inputs, L.Dense(6)(L.Concatenate()(branches))))
    point = WeightSpace(model).read()
    for group, part in zip(unit_groups(model), (slice(0, 2), slice(2, 5)), strict=True):
        np.testing.assert_array_equal(group.rows(point, role="out"), point[4][part])


@pytest.mark.parametrize("role", [None, "in", "out"])
@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, role):
    model = randomize(MODELS[name][0]())
    point = WeightSpace(model).read()
    rng = np.random.default_rng(0)
    for group in unit_groups(model):
        if not group.row_axes(role):
            continue
        rows = group.rows(point, role)
        assert rows.shape[0] == group.size
        for a, b in zip(group.with_rows(point, rows, role), point, strict=True):
            np.testing.assert_array_equal(a, b)
        other = rng.normal(size=rows.shape)
        np.testing.assert_array_equal(group.rows(group.with_rows(point, other, role), role), other)


@pytest.mark.parametrize("name", ["Conv2D", "BatchNormalization", "Flatten", "residual", "LSTM"])
def test_permuting_the_rows_permutes_the_units(name):
    """Not so where units lie along both axes of a weight, as in the recurrent kernel of an LSTM."""
    model = randomize(MODELS[name][0]())
    point = WeightSpace(model).read()
    groups = unit_groups(model)
    for group, permutation in zip(groups, random_permutations(groups), strict=True):
        variables = [axis.variable for axis in group.axes if axis.trainable]
        by_rows = group.with_rows(point, group.rows(point)[permutation])
        by_units, _ = permute(group, permutation, point)
        same = all(np.array_equal(a, b) for a, b in zip(by_rows, by_units, strict=True))
        assert same == (len(set(variables)) == len(variables))


def test_the_point_is_not_changed():
    model, group = one_hidden_layer()
    point = WeightSpace(model).read()
    before = [array.copy() for array in point]
    group.rows(point)[:] = 0
    changed = group.with_rows(point, np.zeros(group.rows(point).shape))
    assert changed[3] is point[3]
    for a, b in zip(point, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_of_another_shape_are_refused():
    model, group = one_hidden_layer()
    with pytest.raises(ValueError, match=r"must have shape \(5, 8\).*Received: shape \(5, 7\)"):
        group.with_rows(WeightSpace(model).read(), np.zeros((5, 7)))
