import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc_keras.paths.coefficients import (
    Bezier,
    Constant,
    GreatCircle,
    Line,
    PolygonalChain,
    QuarterArc,
    Ramp,
    by_name,
)

positions = st.floats(0, 1)
sum_to_one = st.one_of(
    st.just(Line()),
    st.just(QuarterArc()),
    st.just(Ramp(0.25, 0.75)),
    st.just(Ramp(0.0, 0.5)),
    st.builds(Bezier, st.integers(2, 9)),
    st.builds(PolygonalChain, st.integers(2, 9)),
)
circle = GreatCircle([0.3, 1.2, 3.0], [1.0, 2.0, 0.5], [3.0, 1.0, 0.7])


@given(function=sum_to_one, t=positions)
def test_coefficients_sum_to_one(function, t):
    values = function(t)
    assert len(values) == function.num_control_points
    assert math.isclose(sum(values), 1, abs_tol=1e-12)


@given(function=sum_to_one)
def test_ends_are_the_end_control_points(function):
    start, end = function(0.0), function(1.0)
    last = 1 if isinstance(function, QuarterArc) else function.num_control_points - 1
    np.testing.assert_allclose(start, np.eye(len(start))[0], atol=1e-15)
    np.testing.assert_allclose(end, np.eye(len(end))[last], atol=1e-15)


@given(function=st.one_of(sum_to_one, st.just(circle)), t=st.floats(0, 1, width=32))
def test_tensors_and_floats_agree(function, t):
    tensors = [keras.ops.convert_to_numpy(c) for c in function(keras.ops.convert_to_tensor(t))]
    for a, b in zip(function(float(t)), tensors, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


@given(points=st.integers(2, 9), t=positions)
def test_points_on_the_chord_give_the_line(points, t):
    on_chord = np.linspace(-2, 5, points)
    for family in (Bezier, PolygonalChain):
        assert math.isclose(np.dot(family(points)(t), on_chord), -2 + 7 * t, abs_tol=1e-12)


@given(points=st.integers(2, 9), t=positions)
def test_bezier_is_the_bernstein_polynomial(points, t):
    n = points - 1
    expected = [math.comb(n, k) * t**k * (1 - t) ** (n - k) for k in range(points)]
    np.testing.assert_allclose(Bezier(points)(t), expected, atol=1e-12)


@given(points=st.integers(2, 9), k=st.integers(0, 8))
def test_a_polygonal_chain_visits_its_control_points(points, k):
    chain = PolygonalChain(points)
    k = min(k, points - 1)
    np.testing.assert_allclose(chain(chain.knots[k]), np.eye(points)[k], atol=1e-12)


@given(t=positions)
def test_arc_keeps_the_covariance_of_independent_units(t):
    start, end, _ = QuarterArc()(t)
    assert math.isclose(start**2 + end**2, 1, abs_tol=1e-12)


@given(
    t=positions,
    rows=st.lists(st.tuples(*[st.floats(-3, 3) for _ in range(6)]), min_size=1, max_size=4),
)
def test_great_circle_interpolates_lengths(t, rows):
    a, b = np.array(rows)[:, :3], np.array(rows)[:, 3:]
    norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine = np.sum(a * b, 1) / np.where(norms[0] * norms[1] > 0, norms[0] * norms[1], 1)
    angles = np.arccos(np.clip(cosine, -1, 1))
    function = GreatCircle(angles[:, None], norms[0][:, None], norms[1][:, None])
    from_start, from_end = function(t)
    assert np.isfinite(from_start).all()
    assert np.isfinite(from_end).all()
    turns = (np.sin(angles) > 1e-2) & (norms[0] > 1e-3) & (norms[1] > 1e-3)
    lengths = np.linalg.norm(from_start * a + from_end * b, axis=1)
    expected = (1 - t) * norms[0] + t * norms[1]
    np.testing.assert_allclose(lengths[turns], expected[turns], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", [Bezier, PolygonalChain])
@pytest.mark.parametrize("points", [1, 0, 2.5, "3"])
def test_too_few_control_points(family, points):
    with pytest.raises(ValueError, match="at least 2, received"):
        family(points)


@pytest.mark.parametrize(
    "function",
    [Constant(), Line(), Ramp(0.2, 0.4), QuarterArc(), circle, Bezier(4), PolygonalChain(5)],
)
def test_config_round_trip(function):
    again = by_name(type(function).__name__).from_config(function.get_config())
    np.testing.assert_array_equal(np.array(again(0.3)), np.array(function(0.3)))
