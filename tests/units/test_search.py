"""What `unit_groups` reports."""

import keras
import numpy as np
from keras import layers as L

from mc_keras.units import unit_groups
from mc_keras.units.search import readings
from tests.units.networks import hidden


def test_names_and_order():
    outer = keras.Input((4,))
    x = L.Dense(5, name="first")(outer)
    inner = keras.Sequential([keras.Input((5,)), L.Dense(6, name="deep"), L.Dense(5)], name="block")
    x = L.Concatenate()([inner(x), L.Dense(5, name="side")(x)])
    groups = unit_groups(keras.Model(outer, L.Dense(2)(x)))
    assert [group.name for group in groups][:3] == ["first", "block/deep", groups[2].name]
    assert [group.name for group in groups][3] == "side"
    attention = keras.Input((3, 4))
    mha = L.MultiHeadAttention(2, 3, name="mha")
    groups = unit_groups(keras.Model(attention, mha(attention, attention)))
    assert [group.name for group in groups] == [
        "mha/query_key[0]",
        "mha/query_key[1]",
        "mha/value[0]",
        "mha/value[1]",
        "mha/heads",
    ]


def test_units_are_numbered_as_in_the_layer_that_makes_them():
    for group in unit_groups(hidden(L.BatchNormalization(), L.Dense(7))):
        for axis in group.axes:
            np.testing.assert_array_equal(axis.positions[:, 0], np.arange(group.size))


def test_moving_moments_are_state():
    (group,) = unit_groups(hidden(L.BatchNormalization()))
    assert [(a.variable, a.trainable) for a in group.axes if not a.trainable] == [
        (0, False),
        (1, False),
    ]


def test_a_frozen_layer_keeps_its_units():
    model = hidden(L.Dense(6))
    before = [group.size for group in unit_groups(model)]
    model.layers[1].trainable = False
    assert [group.size for group in unit_groups(model)] == before


def test_a_group_of_one_unit_is_left_out():
    model = keras.Sequential([keras.Input((4,)), L.Dense(1), L.Dense(3)])
    assert unit_groups(model) == ()


def test_constants_count_among_the_tensors_that_a_layer_reads():
    inputs = keras.Input((3, 4))
    constant = keras.ops.ones((2, 3, 6))
    x = L.MultiHeadAttention(2, 3)(constant, L.Dense(5, name="read")(inputs))
    (reading,) = readings(keras.Model(inputs, x))[0]
    assert (reading.argument, reading.axis) == (1, 2)
