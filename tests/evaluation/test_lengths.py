"""Distances between neighbouring points, against those of the points themselves."""

import itertools
import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mc_keras as mc
from mc_keras.evaluation.lengths import step_lengths
from mc_keras.paths import AffinePath, Line
from mc_keras.weight_space import WeightSpace
from tests.contracts.paths import PATHS


def by_points(path, positions):
    points = [[w.astype("float64") for w in path(t)] for t in positions]
    return [
        math.sqrt(sum(float(((v - w) ** 2).sum()) for v, w in zip(a, b, strict=True)))
        for a, b in itertools.pairwise(points)
    ]


@pytest.mark.parametrize("name", [name for name in PATHS if name != "optimal transport"])
def test_equals_the_distances_of_the_points(name, dense_pair):
    start, end, _ = dense_pair
    path = PATHS[name](start, end)
    positions = sorted({*np.linspace(0, 1, 13).tolist(), *path.corners})
    np.testing.assert_allclose(step_lengths(path, positions), by_points(path, positions), rtol=2e-5)


@pytest.mark.parametrize("name", ["linear", "arc", "slerp", "batch norm"])
def test_equals_them_with_convolutions(name, batch_norm_pair):
    start, end, _ = batch_norm_pair
    path = PATHS.get(name, PATHS["concatenation"])(start, end)
    positions = sorted({0.0, 0.4, 1.0, *path.corners})
    np.testing.assert_allclose(step_lengths(path, positions), by_points(path, positions), rtol=2e-5)


def test_corners_between_the_positions_are_counted(dense_pair):
    start, end, _ = dense_pair
    path = PATHS["optimal transport"](start, end)
    positions = sorted({0.0, 0.3, 0.9, 1.0, *path.knots})
    pairs = list(itertools.pairwise(positions))
    fine = [sum(by_points(path, np.linspace(a, b, 1001))) for a, b in pairs]
    np.testing.assert_allclose(step_lengths(path, positions), fine, rtol=1e-2)
    assert sum(fine) > 1.05 * sum(by_points(path, positions))


def line(start, end):
    """A straight path between two kernels of the shape (2, 1)."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    points = [[np.array([[a], [b]], "float32")] for a, b in (start, end)]
    return AffinePath(WeightSpace(model), points, Line(), states=([], []))


@given(*[st.floats(-1000, 1000, width=32)] * 4)
def test_a_straight_line_by_hand(a, b, c, d):
    lengths = step_lengths(line((a, b), (c, d)), [0.0, 0.25, 1.0])
    np.testing.assert_allclose(
        lengths, np.array([0.25, 0.75]) * math.hypot(c - a, d - b), rtol=1e-6, atol=1e-4
    )


def test_a_path_that_stands_still_has_length_zero():
    np.testing.assert_array_equal(step_lengths(line((3, 4), (3, 4)), [0, 0.3, 1]), [0, 0])


def test_the_length_of_a_report(dense_pair):
    start, end, data = dense_pair
    straight = mc.evaluate_path(mc.connect(start, end, "linear"), {"a": data}, 5, verbose=0)
    bent = mc.evaluate_path(mc.connect(start, end, "arc"), {"a": data}, 5, verbose=0)
    assert straight.length == pytest.approx(straight.chord, rel=1e-6)
    assert bent.chord == pytest.approx(straight.chord)
    assert bent.relative_length == bent.length / bent.chord > 1.02
    stands = mc.evaluate_path(mc.connect(start, start, "linear"), {"a": data}, 3, verbose=0)
    assert stands.relative_length == 1
    points = [WeightSpace(model).read() for model in (start, end, start)]
    space = WeightSpace(keras.models.clone_model(start))
    path = AffinePath(space, points, mc.PolygonalChain(3), states=([], []))
    loop = mc.evaluate_path(path, {"a": data}, 3, verbose=0)
    assert loop.relative_length == math.inf
