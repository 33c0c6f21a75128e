from typing import get_args

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mc_keras.units import butterfly_costs, match_units, permute, permute_all, unit_groups
from mc_keras.units import matching as matching_module
from mc_keras.units.descent import By
from mc_keras.units.distances import Distances
from mc_keras.weight_space import WeightSpace
from tests.units.layer_models import MODELS
from tests.units.networks import (
    assert_planted_is_found,
    random_inputs,
    randomize,
    with_planted,
)

L = keras.layers


def dense(widths=(20, 16)):
    hidden = [L.Dense(width, activation="tanh") for width in widths]
    return keras.Sequential([keras.Input((12,)), *hidden, L.Dense(3)])


def convolutional():
    hidden = [L.Conv2D(12, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(10, 3, activation="relu")]
    return keras.Sequential([keras.Input((6, 6, 3)), *hidden, L.Flatten(), L.Dense(14), L.Dense(3)])


def residual():
    inputs = keras.Input((6, 6, 3))
    x = L.Conv2D(10, 3, padding="same")(inputs)
    for _ in range(2):
        y = L.ReLU()(L.BatchNormalization()(x))
        y = L.Conv2D(11, 3, padding="same", activation="relu")(y)
        x = x + L.Conv2D(10, 3, padding="same")(y)
    x = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x)])
    return keras.Model(inputs, L.Dense(3)(x))


def recurrent():
    inputs = keras.Input((4, 8))
    return keras.Model(inputs, L.Dense(3)(L.LSTM(12)(L.Dense(10)(inputs))))


def mixer():
    """Units of two groups along two axes of one tensor."""
    inputs = keras.Input((6, 8))
    x = L.Dense(10)(inputs)
    tokens = L.Dense(14, activation="relu")(L.Permute((2, 1))(x))
    x = x + L.Permute((2, 1))(L.Dense(6)(tokens))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


NETWORKS = {f.__name__: f for f in (dense, convolutional, residual, recurrent, mixer)}


def planted(name, seed=0):
    """A network, and the same one with its units permuted; the permutations that undo it."""
    start = randomize(NETWORKS[name](), seed)
    end, permutations = with_planted(start, seed)
    return start, end, [np.argsort(p) for p in permutations]


# By incoming weights the units of a group are known only when those that lead into them are.
KINDS = [(n, by) for n in NETWORKS for by in ("weights", "activations", "both")]
KINDS += [("dense", "incoming"), ("convolutional", "incoming")]


@pytest.mark.parametrize(("name", "by"), KINDS)
def test_a_planted_permutation_is_found(name, by):
    start, end, expected = planted(name)
    matching = match_units(start, end, by=by, x=random_inputs(start, batch=60)[0])
    for found, wanted in zip(matching.permutations, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    if by in ("weights", "incoming"):
        assert matching.costs[-1] == pytest.approx(0, abs=1e-9)
    space = WeightSpace(end)
    point, state = permute_all(
        matching.groups, matching.permutations, space.read(), space.read_state()
    )
    original = WeightSpace(start)
    for a, b in zip(point + state, original.read() + original.read_state(), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=15, suppress_health_check=list(HealthCheck), derandomize=True)
@given(seed=st.integers(0, 1000), widths=st.lists(st.integers(12, 30), min_size=1, max_size=4))
def test_planted_permutations_of_deep_networks(seed, widths):
    start = randomize(dense(widths), seed)
    end, permutations = with_planted(start, seed)
    for found, planted in zip(match_units(start, end).permutations, permutations, strict=True):
        np.testing.assert_array_equal(found[planted], np.arange(planted.size))


@pytest.mark.parametrize("by", ["weights", "activations", "both"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_descent_is_monotone_and_its_cost_is_true(name, by):
    start, end = (randomize(NETWORKS[name](), seed) for seed in (0, 1))
    x = random_inputs(start, batch=20)[0]
    matching = match_units(start, end, by=by, x=x)
    assert np.all(np.diff(matching.costs) <= 0)
    assert matching.costs[-1] < matching.costs[0]


# A constant that differs, a layer without a configuration: no two of these are known to be alike.
INCOMPARABLE = {"a kernel in the graph", "clipped by an array"}


@pytest.mark.parametrize("name", [*NETWORKS, *sorted(MODELS.keys() - INCOMPARABLE)])
def test_the_cost_by_weights_is_the_distance_of_what_is_moved(name):
    make = NETWORKS[name] if name in NETWORKS else MODELS[name][0]
    start, end = (randomize(make(), seed) for seed in (0, 1))
    matching = match_units(start, end)
    point, _ = permute_all(matching.groups, matching.permutations, WeightSpace(end).read())
    moved = {axis.variable for group in matching.groups for axis in group.axes if axis.trainable}
    pairs = enumerate(zip(WeightSpace(start).read(), point, strict=True))
    distance = sum(np.sum((a - b) ** 2) for i, (a, b) in pairs if i in moved)
    assert matching.costs[-1] == pytest.approx(distance)


@pytest.mark.parametrize("by", ["weights", "activations", "both"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_networks_keep_their_order(name, by):
    start = randomize(NETWORKS[name]())
    matching = match_units(start, start, by=by, x=random_inputs(start, batch=60)[0])
    for permutation in matching.permutations:
        np.testing.assert_array_equal(permutation, np.arange(permutation.size))
    assert len(matching.costs) == 2


def transformer(attention):
    inputs = keras.Input((5, 8))
    x = L.Dense(12)(inputs)
    for _ in range(2):
        x = x + attention()(x, x)
        x = x + L.Dense(12)(L.Dense(20, activation="gelu")(L.LayerNormalization()(x)))
    return keras.Model(inputs, L.Dense(3)(x))


ATTENTION = {
    "as many key heads": lambda: L.MultiHeadAttention(4, 6, value_dim=5),
    "shared key heads": lambda: L.GroupQueryAttention(6, 4, 2),
}


@pytest.mark.parametrize("kind", ATTENTION)
def test_heads_are_matched_together_with_their_dimensions(kind):
    assert_planted_is_found(randomize(transformer(ATTENTION[kind])))


def test_dimensions_keep_their_order_when_only_heads_are_matched():
    start, end = (randomize(transformer(ATTENTION["as many key heads"]), seed) for seed in (0, 1))
    groups = unit_groups(start)
    heads = next(group.name for group in groups if group.name.endswith("heads"))
    matching = match_units(start, end, only=[heads])
    assert matching.costs[-1] < matching.costs[0]
    for group, permutation in zip(groups, matching.permutations, strict=True):
        if group.name != heads:
            np.testing.assert_array_equal(permutation, np.arange(group.size))


def test_one_group():
    start, end = (randomize(dense(), seed) for seed in (0, 1))
    name = unit_groups(start)[1].name
    first, second = match_units(start, end, only=[name]).permutations
    np.testing.assert_array_equal(first, np.arange(20))
    assert not np.array_equal(second, np.arange(16))
    with pytest.raises(ValueError, match="no unit group 'dense_99': the groups are"):
        match_units(start, end, only=["dense_99"])


def test_incoming_weights_are_matched_in_the_order_of_the_graph():
    """Against the assignment of each layer, given the one before it, from the matrices."""
    start, end = (randomize(dense(), seed) for seed in (0, 1))
    matching = match_units(start, end, by="incoming")
    before = np.arange(12)
    for first, second, found in zip(
        start.layers[:-1], end.layers[:-1], matching.permutations, strict=True
    ):
        a = np.vstack([first.kernel.numpy(), first.bias.numpy()]).T
        b = np.vstack([second.kernel.numpy()[before], second.bias.numpy()]).T
        costs = np.sum(np.square(a[:, None] - b), -1)
        np.testing.assert_array_equal(found, linear_sum_assignment(costs)[1])
        before = found


@pytest.mark.parametrize("by", ["weights", "incoming"])
def test_recurrent_networks_by_weights_alone(by):
    start, end = (randomize(NETWORKS["recurrent"](), seed) for seed in (0, 1))
    costs = match_units(start, end, by=by).costs
    assert costs[-1] < costs[0]


def test_dead_units_do_no_harm():
    start, end, _ = planted("dense")
    for model in (start, end):
        model.layers[0].bias.assign(np.where(np.arange(20) < 3, -1e3, 0))
    matching = match_units(start, end, by="activations", x=random_inputs(start, batch=40)[0])
    assert all(np.isfinite(cost) for cost in matching.costs)


@pytest.mark.parametrize("name", NETWORKS)
def test_distances_follow_the_units(name):
    start, end = (randomize(NETWORKS[name](), seed) for seed in (0, 1))
    groups, rng = unit_groups(start), np.random.default_rng(0)
    a, b = WeightSpace(start).read(), WeightSpace(end).read()
    distances = Distances(a)
    for _ in range(3):
        for group in groups:
            np.testing.assert_allclose(
                distances(group, b, None), butterfly_costs(group, a, b), rtol=1e-9, atol=1e-12
            )
            order = np.arange(group.size)
            few = rng.choice(group.size, 2, replace=False)
            order[few] = order[few[::-1]]
            b = permute(group, order, b)[0]
            distances.reorder(group, order)


def test_units_whose_activations_are_not_seen_are_named():
    start = randomize(transformer(ATTENTION["as many key heads"]))
    x = random_inputs(start, batch=10)[0]
    with pytest.warns(UserWarning, match="'multi_head_attention.*keep their order"):
        match_units(start, start, by="activations", x=x)


@pytest.mark.parametrize("by", ["activations", "both"])
def test_activations_that_are_not_finite(by):
    start = randomize(dense())
    x = random_inputs(start, batch=10)[0]
    x[3, 0] = np.nan
    with pytest.raises(ValueError, match="reads hold NaN or infinity"):
        match_units(start, start, by=by, x=x)


@pytest.mark.parametrize("x", [np.zeros((0, 12)), np.zeros((5, 11)), [np.zeros((5, 12))] * 2])
def test_inputs_that_do_not_fit(x):
    start = randomize(dense())
    with pytest.raises(ValueError, match=r"one array of at least one example.*\(None, 12\)"):
        match_units(start, start, by="activations", x=x)


def test_bad_arguments():
    start = randomize(dense())
    with pytest.raises(ValueError, match="not by='colour'"):
        match_units(start, start, by="colour")
    with pytest.raises(ValueError, match="pass x=inputs"):
        match_units(start, start, by="activations")
    with pytest.raises(ValueError, match="The models differ"):
        match_units(start, randomize(dense((20,))))


def test_what_was_matched_before_is_remembered(monkeypatch):
    """The same question gives the same answer, in arrays of the caller's own, without the work."""
    start, end, _ = planted("convolutional", 5)
    asked = [{"by": by, "x": random_inputs(start, batch=60)[0]} for by in get_args(By)]
    first = [match_units(start, end, **question) for question in asked]
    expected = [[order.copy() for order in matching.permutations] for matching in first]
    for matching in first:
        for order in matching.permutations:
            order[:] = 0
    monkeypatch.setattr(matching_module, "Descent", None)
    for question, before, orders in zip(asked, first, expected, strict=True):
        again = match_units(start, end, **question)
        assert again.costs == before.costs
        for found, wanted in zip(again.permutations, orders, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("part", ["weights", "options", "inputs"])
def test_another_question_has_another_answer(part):
    start, end, expected = planted("dense", 6)
    x = random_inputs(start, batch=60)[0]
    match_units(start, end, by="both", x=x)
    if part == "weights":
        other = with_planted(end, 7)
        found = match_units(start, other[0], by="both", x=x).permutations
        expected = [np.argsort(p)[q] for p, q in zip(other[1], expected, strict=True)]
    elif part == "options":
        name = match_units(start, end).groups[0].name
        found = match_units(start, end, by="both", x=x, only=[name]).permutations
        expected = [expected[0], np.arange(expected[1].size)]
    else:
        costs = match_units(start, end, by="activations", x=x).costs
        assert match_units(start, end, by="activations", x=x[:40]).costs[0] != costs[0]
        return
    for order, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(order, wanted)
