import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mc_keras as mc
from mc_keras.paths import PiecewisePath, arc_length, distance
from tests.networks import dense_network


@pytest.fixture(scope="module")
def legs():
    a, b, c = (dense_network(seed) for seed in range(3))
    return [mc.connect(a, b), mc.connect(b, c, "arc"), mc.connect(c, a)]


def test_uniform_parametrisation(legs):
    path = mc.concatenate(legs)
    np.testing.assert_allclose(path.knots, [0, 1 / 3, 2 / 3, 1])
    assert path.method == "linear+arc"
    for k, leg in enumerate(legs):
        for a, b in zip(path((k + 0.25) / 3), leg(0.25), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_arc_length_parametrisation(legs):
    path = mc.concatenate(legs, "arclength")
    lengths = np.array([arc_length(leg) for leg in legs])
    np.testing.assert_allclose(np.diff(path.knots), lengths / lengths.sum(), rtol=1e-9)


@given(cuts=st.tuples(st.floats(0.01, 0.49), st.floats(0.51, 0.99)), t=st.floats(0, 1))
def test_locate_is_the_inverse_of_the_parametrisation(legs, cuts, t):
    path = mc.concatenate(legs, [0, *cuts, 1])
    k, s = path.locate(t)
    assert 0 <= s <= 1
    assert np.isclose(path.ends[k] + s * (path.ends[k + 1] - path.ends[k]), t)


def test_nested_concatenation(legs):
    inner = mc.concatenate(legs[:2])
    path = mc.concatenate([inner, legs[2]])
    np.testing.assert_allclose(path.knots, [0, 0.25, 0.5, 1])
    for a, b in zip(path(0.125), legs[0](0.5), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_array_used_by_two_segments_is_stored_once(legs, tmp_path):
    leg = mc.connect(dense_network(4), dense_network(4), "linear")
    leg.save(tmp_path / "one.path")
    mc.concatenate([leg, leg, leg]).save(tmp_path / "thrice.path")
    sizes = [(tmp_path / name).stat().st_size for name in ("one.path", "thrice.path")]
    assert sizes[1] < sizes[0] * 1.3


@pytest.mark.parametrize(
    "join", [mc.concatenate, lambda paths: PiecewisePath(paths, [0.0, 0.5, 1.0])]
)
def test_legs_that_do_not_meet(legs, join):
    with pytest.raises(
        ValueError, match="Path 0 does not end where path 1 starts: .*dense.*/kernel' differs"
    ):
        join([legs[0], legs[2]])


def test_bad_parametrisations(legs):
    with pytest.raises(ValueError, match="Unknown parametrisation 'length'"):
        mc.concatenate(legs, "length")
    for knots in ([0, 1], [0, 0.5, 0.4, 1], [0.1, 0.2, 0.3, 1]):
        with pytest.raises(ValueError, match="3 segments need 4 rising positions"):
            mc.concatenate(legs, knots)
    with pytest.raises(ValueError, match="at least one segment"):
        PiecewisePath([], [0.0, 1.0])


def test_length_of_a_line_is_the_distance(legs):
    line = legs[0]
    assert np.isclose(arc_length(line), distance(line(0), line(1)), rtol=1e-9)


def test_length_is_the_sum_of_the_legs(legs):
    assert np.isclose(arc_length(mc.concatenate(legs)), sum(map(arc_length, legs)), rtol=1e-6)


def test_segments_of_another_architecture_are_refused():
    def build(activation):
        layers = keras.layers.Dense(4, activation), keras.layers.Dense(3)
        return keras.Sequential([keras.Input((5,)), *layers])

    a, b, other = build(None), build(None), build("relu")
    other.set_weights(b.get_weights())
    with pytest.raises(ValueError, match="differs in 'activation'"):
        mc.concatenate([mc.connect(a, b), mc.connect(other, other)])
