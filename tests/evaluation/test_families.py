import itertools

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.evaluation import groups
from mc_keras.evaluation.families import AffineFamily, SampledFamily, families_of
from tests.contracts.architectures import ARCHITECTURES
from tests.contracts.paths import PATHS
from tests.networks import dense_network

POSITIONS = [0.0, 0.07, 0.1, 0.12, 0.5, 0.9, 1.0]


@pytest.fixture(scope="module")
def ends():
    return dense_network(0), dense_network(1)


@pytest.mark.parametrize("name", PATHS)
def test_weights_are_those_of_the_path(name, ends):
    path = PATHS[name](*ends)
    positions = sorted({*POSITIONS, *path.corners})
    families = families_of(path, positions)
    assert sorted(n for family in families for n in family.numbers) == list(range(len(positions)))
    variables = range(len(path.variables))
    for family in families:
        weights = family.weights(range(len(family)), variables, len(family) + 1)
        for member, number in enumerate(family.numbers):
            for found, expected in zip(weights, path(positions[number]), strict=True):
                np.testing.assert_allclose(found[member], expected, atol=1e-6)
                assert found.dtype == expected.dtype
                assert len(found) == len(family) + 1
                assert not found[-1].any()


def test_segments_of_a_concatenation_share_their_control_points(ends):
    path = PATHS["concatenation"](*ends)
    families = families_of(path, np.linspace(0, 1, 31).tolist())
    assert [type(family) for family in families] == [AffineFamily] * 3


def test_nan_control_points_are_not_combined(ends):
    path = mc.connect(*ends, "linear")
    path.control_points[1][0][0] = np.nan
    (family,) = families_of(path, [0.0, 1.0])
    assert isinstance(family, SampledFamily)
    assert np.isfinite(family.weights([0], [0], 1)[0]).all()


def test_what_is_equal_at_both_ends_does_not_move(ends):
    start = ends[0]
    same = dense_network(1)
    same.layers[0].set_weights(start.layers[0].get_weights())
    (family,) = families_of(mc.connect(start, same, "linear"), [0.0, 0.5])
    assert [family.moves(i) for i in range(4)] == [False, False, True, False]


def test_what_is_equal_at_both_ends_moves_on_a_great_circle(ends):
    start, end = ends
    for model in ends:
        model.layers[0].bias.assign(np.arange(1, 8))
    try:
        path = mc.connect(start, end, "slerp")
        positions = [0.0, 0.3, 1.0]
        (family,) = families_of(path, positions)
        assert family.moves(1)
        (weights,) = family.weights(range(3), [1], 3)
        for found, t in zip(weights, positions, strict=True):
            np.testing.assert_allclose(found, path(t)[1], rtol=1e-6)
    finally:
        for model in ends:
            model.layers[0].bias.assign(np.zeros(7))


def plan_of(name, num_points=61):
    start, end = ARCHITECTURES[name](0), ARCHITECTURES[name](1)
    path = mc.connect(start, end, "linear")
    families = families_of(path, np.linspace(0, 1, num_points).tolist())
    (plan,) = groups.plans_for(path.space, families, [True] * len(path.space.state_variables))
    return plan


def test_products_are_shared_where_that_is_less_work(monkeypatch):
    monkeypatch.setattr(groups, "_COMBINATION_COST", 2)
    assert plan_of("dense").num_products == 2
    assert plan_of("dense", num_points=2).num_products == 0
    assert plan_of("wide convolution").num_products == 2
    assert plan_of("mixed precision").num_products == 0


@pytest.mark.parametrize("share_products", [True, False])
def test_groups_fit_into_memory(share_products, monkeypatch):
    monkeypatch.setattr(groups, "_GROUP_BYTES" if share_products else "_APART_BYTES", 4 * 100)
    monkeypatch.setattr(groups, "_products_pay", lambda *_: share_products)
    plan = plan_of("deep")
    groups_of = plan.groups()
    assert list(itertools.chain(*groups_of)) == list(range(61))
    assert plan.capacity == max(map(len, groups_of)) == 1
