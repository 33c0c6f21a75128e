import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from mc_keras.evaluation.frame import Frame


def points(seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    shapes = [(3, 4), (4,), (2,)]
    return [[scale * generator.normal(size=s).astype("float32") for s in shapes] for _ in range(3)]


def flat(point):
    return np.concatenate([array.ravel() for array in point]).astype("float64")


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_distances_in_the_plane_are_those_in_weight_space(seed, scale):
    corners = points(seed, scale)
    xy = Frame(corners).coordinates
    for i, j in ((0, 1), (0, 2), (1, 2)):
        distance = np.linalg.norm(flat(corners[i]) - flat(corners[j]))
        assert np.linalg.norm(xy[i] - xy[j]) == pytest.approx(distance, rel=1e-6)


@given(arrays("float64", 2, elements=st.floats(-9, 9)))
def test_coefficients_and_projection_are_inverse(xy):
    corners = points()
    frame = Frame(corners)
    coefficients = frame.coefficients(*xy)
    assert sum(coefficients) == pytest.approx(1)
    point = [
        sum(c * p[i].astype("float64") for c, p in zip(coefficients, corners, strict=True))
        for i in range(3)
    ]
    np.testing.assert_allclose(frame.project(point), [*xy, 0], atol=1e-9)


def test_a_point_beside_the_plane_has_its_distance_as_residual():
    corners = [[np.array(v, "float32")] for v in ([0, 0, 0], [2, 0, 0], [1, 3, 0])]
    frame = Frame(corners)
    np.testing.assert_allclose(frame.coordinates, [[0, 0], [2, 0], [1, 3]])
    assert frame.project([np.array([0.5, 1.5, -4.0])]) == (0.5, 1.5, 4.0)
    x, y = frame.grid(3, 0.5)
    np.testing.assert_allclose(x, [-1, 1, 3])
    np.testing.assert_allclose(y, [-1.5, 1.5, 4.5])


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0])
def test_points_on_one_line_are_refused(factor):
    a, b, _ = points()
    third = [((1 - factor) * v + factor * w).astype("float32") for v, w in zip(a, b, strict=True)]
    with pytest.raises(ValueError, match="lie on one line"):
        Frame([a, b, third])


def test_equal_ends_are_refused():
    a, _, c = points()
    with pytest.raises(ValueError, match="lie on one line"):
        Frame([a, a, c])
