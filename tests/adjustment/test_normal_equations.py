"""Least squares from streamed Gram matrices."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc_keras.adjustment import NormalEquations
from mc_keras.adjustment.normal_equations import RowEquations, are_few, gram_size


def problem(rows, features, targets, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)), rng.normal(size=(rows, targets))


def solution(h, y, prior=None, ridge=0.0, block=64):
    prior = np.zeros((h.shape[1], y.shape[1])) if prior is None else prior
    equations = NormalEquations(prior, ridge)
    for begin in range(0, len(h), block):
        equations.add(h[begin : begin + block], y[begin : begin + block])
    return equations.solve()


@given(
    rows=st.integers(1, 40),
    features=st.integers(1, 12),
    targets=st.integers(1, 4),
    block=st.integers(1, 50),
    seed=st.integers(0, 10**6),
)
def test_without_ridge_it_is_the_pseudo_inverse(rows, features, targets, block, seed):
    h, y = problem(rows, features, targets, seed)
    found = solution(h, y, block=block)
    expected = np.linalg.pinv(h) @ y
    residuals = [np.linalg.norm(h @ k - y) for k in (found, expected)]
    assert residuals[0] <= residuals[1] + 1e-6 * np.linalg.norm(y)
    assert np.linalg.norm(found) <= np.linalg.norm(expected) * (1 + 1e-6) + 1e-9


def test_many_rows_give_the_solution_of_lstsq():
    h, y = problem(5000, 30, 4)
    found = solution(h.astype("float32"), y, block=700)
    expected = np.linalg.lstsq(h.astype("float32").astype("float64"), y, rcond=None)[0]
    np.testing.assert_allclose(found, expected, atol=1e-10)


@given(ridge=st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]), seed=st.integers(0, 10**6))
def test_the_residual_is_at_right_angles_but_for_the_ridge(ridge, seed):
    h, y = problem(50, 8, 3, seed)
    prior = np.random.default_rng(seed + 1).normal(size=(8, 3))
    found = solution(h, y, prior, ridge)
    strength = ridge * np.trace(h.T @ h) / 8
    np.testing.assert_allclose(h.T @ (h @ found - y), -strength * (found - prior), atol=1e-8)


@pytest.mark.parametrize("ridge", [1e-8, 1e-6, 1e-5])
def test_fewer_rows_than_features_with_a_small_ridge(ridge):
    h, y = problem(300, 1001, 3)
    found = solution(h.astype("float32"), y, ridge=ridge)
    strength = ridge * np.square(h).sum() / 1001
    expected = h.T @ np.linalg.solve(h @ h.T + strength * np.eye(300), y)
    np.testing.assert_allclose(h @ found, h @ expected, atol=2e-3)


@pytest.mark.parametrize("ridge", [0.0, 1e-4, 1e2])
def test_a_prior_without_error_is_the_solution(ridge):
    h, _ = problem(40, 6, 3)
    prior = problem(6, 3, 1)[0]
    np.testing.assert_allclose(solution(h, h @ prior, prior, ridge), prior, atol=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 1e-4])
def test_dead_and_doubled_features_stay_near_the_prior(ridge):
    h, y = problem(40, 6, 3)
    h[:, 2] = 0
    h[:, 4] = h[:, 3]
    prior = np.full((6, 3), 0.25)
    found = solution(h, y, prior, ridge)
    np.testing.assert_allclose(found[2], 0.25, atol=1e-9)
    np.testing.assert_allclose(found[4], found[3], atol=1e-6)
    assert np.abs(found).max() < 10


def test_fewer_rows_than_features_fit_exactly():
    h, y = problem(5, 9, 2)
    found = solution(h, y)
    np.testing.assert_allclose(h @ found, y, atol=1e-6)


def test_rounding_to_single_precision_acts_like_a_smaller_ridge():
    # Features of a ReLU layer with far too many units: most directions are weak.
    rng = np.random.default_rng(0)
    low = rng.normal(size=(3000, 20)) @ rng.normal(size=(20, 1000))
    h = np.maximum(low + 0.01 * rng.normal(size=low.shape), 0).astype("float32")
    y, prior = rng.normal(size=(3000, 3)), 0.1 * rng.normal(size=(1000, 3))
    found = solution(h, y, prior, 1e-4)
    wide = h.astype("float64")
    system = wide.T @ wide
    strength = 1e-4 * np.trace(system) / 1000
    expected = prior + np.linalg.solve(
        system + strength * np.eye(1000), wide.T @ (y - wide @ prior)
    )
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected - prior)
    exact = solution(h, wide @ prior, prior, 1e-4)
    np.testing.assert_allclose(exact, prior, atol=1e-4)
    errors = [np.mean(np.square(wide @ k - y)) for k in (found, expected)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


def test_memory_does_not_grow_with_the_number_of_rows():
    h, y = problem(500, 200, 5)

    def peak(repeats):
        tracemalloc.start()
        equations = NormalEquations(np.zeros((200, 5)), 1e-4)
        for _ in range(repeats):
            equations.add(h, y)
        equations.solve()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert equations.num_rows == 500 * repeats
        return found

    few, many = peak(16), peak(400)
    # All rows of the longer run would be 320 MB.
    assert many < few + 1e6


def test_what_is_not_finite_is_refused():
    h, y = problem(30, 4, 2)
    h[3, 1] = np.inf
    with pytest.raises(ValueError, match="features of least squares are not finite"):
        solution(h, y)


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1e-4, 1.0])
@pytest.mark.parametrize("rows", [5, 30, 90])
def test_solving_for_rows_is_the_same(ridge, rows):
    h, y = problem(rows, 60, 3)
    h[:, :7] = 0  # dead units
    prior = np.random.default_rng(1).normal(size=(60, 3)) if ridge else np.zeros((60, 3))
    equations = RowEquations(prior, ridge)
    for begin in range(0, rows, 20):
        equations.add(h[begin : begin + 20], y[begin : begin + 20])
    np.testing.assert_allclose(equations.solve(), solution(h, y, prior, ridge), atol=1e-6)
    np.testing.assert_allclose(equations.solve()[:7], prior[:7], atol=1e-12)


def test_of_few_rows_memory_is_for_rows():
    assert are_few(500, 1000)
    assert not are_few(501, 1000)
    assert not are_few(1, 999)
    assert gram_size(500, 1000) == 8 * 500**2
    assert gram_size(501, 1000) == 8 * 1000**2
    tracemalloc.start()
    equations = RowEquations(np.zeros((30_000, 2)), 1e-4)
    equations.add(np.ones((50, 30_000), "float32"), np.ones((50, 2)))
    equations.solve()
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()
