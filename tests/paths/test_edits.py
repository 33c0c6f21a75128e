import itertools

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mc_keras as mc
from mc_keras.paths import EditsPath
from mc_keras.weight_space import WeightSpace
from tests.networks import dense_network


def random_path(seed, num_segments):
    """A path with random edits, and its corners computed one after the other."""
    rng = np.random.default_rng(seed)
    space = WeightSpace(dense_network())
    point = space.read()
    corners, edits = [[w.copy() for w in point]], []
    for _ in range(num_segments):
        now, changes = [w.copy() for w in corners[-1]], []
        for number in np.flatnonzero(rng.integers(0, 2, len(point))):
            positions = rng.permutation(now[number].size)[: rng.integers(1, 6)]
            values = rng.normal(size=positions.size).astype("float32")
            now[number].reshape(-1)[positions] = values
            changes.append((int(number), positions, values))
        edits.append(changes)
        corners.append(now)
    return EditsPath(space, point, [], edits), corners


PATHS = {"seed": st.integers(0, 1000), "num_segments": st.integers(1, 12)}


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(**PATHS, s=st.floats(0.05, 0.95))
def test_corners_and_straight_lines_between(seed, num_segments, s):
    path, corners = random_path(seed, num_segments)
    for t, corner in zip(path.corners, corners, strict=True):
        for a, b in zip(path(t), corner, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    for k in range(num_segments):
        for a, b, c in zip(path((k + s) / num_segments), corners[k], corners[k + 1], strict=True):
            np.testing.assert_allclose(a, b + np.float32(s) * (c - b), atol=1e-5)
    for a, b in zip(path(1), corners[-1], strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(**PATHS, t=st.floats(0, 1))
def test_in_tensors(seed, num_segments, t):
    path, _ = random_path(seed, num_segments)
    for a, b in zip(path(t), path.tensor_point(keras.ops.convert_to_tensor(t))[0], strict=True):
        np.testing.assert_allclose(a, keras.ops.convert_to_numpy(b), atol=2e-5)


def test_knots_are_the_ends_and_corners_all():
    path, _ = random_path(0, 8)
    assert path.knots == (0.0, 1.0)
    assert path.corners == tuple(np.arange(9) / 8)
    line = mc.connect(dense_network(0), dense_network(0))
    joined = mc.concatenate([line, path])
    assert joined.knots == (0.0, 0.5, 1.0)
    assert joined.corners == pytest.approx((0.0, *(0.5 + np.arange(9) / 16)))


def test_marks_are_knots_in_files_too(tmp_path):
    path, _ = random_path(0, 4)
    marked = EditsPath(path.space, path(0), [], [[]] * 4, marks=[0.7, 0.3])
    marked.save(tmp_path / "a.path")
    for each in (marked, mc.load_path(tmp_path / "a.path")):
        assert each.knots == (0.0, 0.3, 0.7, 1.0)
        assert each.corners == path.corners
    data = {"test": (np.ones((4, 5), "float32"), np.arange(4) % 3)}
    report = mc.evaluate_path(marked, data, num_points=2, verbose=0)
    np.testing.assert_array_equal(report.t, marked.knots)


def test_save_and_load(tmp_path):
    path, _ = random_path(0, 5)
    path.save(tmp_path / "a.path")
    again = mc.load_path(tmp_path / "a.path")
    assert again.corners == path.corners
    for t in (0.0, 0.3, 0.77, 1.0):
        for a, b in zip(path(t), again(t), strict=True):
            np.testing.assert_array_equal(a, b)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(**PATHS, t=st.floats(0, 1))
def test_length_counts_every_corner(seed, num_segments, t):
    path, corners = random_path(seed, num_segments)
    steps = [mc.paths.distance(a, b) for a, b in itertools.pairwise(corners)]
    np.testing.assert_allclose(mc.paths.arc_length(path), sum(steps), rtol=1e-6)
    whole, part = divmod(t * num_segments, 1)
    before = sum(steps[: int(whole)])
    expected = before + (part * steps[int(whole)] if whole < num_segments else 0)
    np.testing.assert_allclose(path.travelled(t), expected, rtol=1e-5, atol=1e-6)


def test_reported_length_counts_every_corner():
    path, corners = random_path(3, 40)
    x = np.ones((4, 5), "float32")
    report = mc.evaluate_path(path, {"test": (x, np.arange(4) % 3)}, num_points=5, verbose=0)
    steps = [mc.paths.distance(a, b) for a, b in itertools.pairwise(corners)]
    np.testing.assert_allclose(report.length, sum(steps), rtol=1e-6)
