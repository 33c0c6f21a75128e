import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mc_keras.units import assign, optimality_gap, transport_plan


def matrix(seed, m, n, kind="normal"):
    rng = np.random.default_rng(seed)
    if kind == "ties":
        return rng.integers(0, 3, (m, n)).astype(float)
    if kind == "line":  # Points of a line: the shortest paths between units are long.
        return np.abs(rng.normal(size=(m, 1)) - rng.normal(size=n))
    costs = rng.normal(size=(m, n))
    if kind == "one large":
        costs[0] += 1e7
    return costs


MATRICES = st.builds(
    lambda seed, n, kind: matrix(seed, n, n, kind),
    st.integers(0, 10**6),
    st.integers(1, 40) | st.integers(60, 150),
    st.sampled_from(["normal", "ties", "line", "one large"]),
)


@given(MATRICES)
def test_least_cost(costs):
    rows, columns = linear_sum_assignment(costs)
    found = assign(costs)
    np.testing.assert_allclose(
        costs[rows, found].sum(), costs[rows, columns].sum(), rtol=1e-15, atol=1e-9
    )
    assert optimality_gap(costs, found) <= 1e-9 + 1e-14 * np.abs(costs).max()


@given(MATRICES, st.integers(0, 10**6))
def test_the_gap_bounds_the_excess(costs, seed):
    permutation = np.random.default_rng(seed).permutation(len(costs))
    rows = np.arange(len(costs))
    excess = costs[rows, permutation].sum() - costs[rows, assign(costs)].sum()
    assert optimality_gap(costs, permutation) >= excess - 1e-9 - 1e-14 * np.abs(costs).max()


def test_bad_costs():
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        assign(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"square matrix.*\(2, 3\).*transport_plan"):
        assign(np.ones((2, 3)))
    with pytest.raises(ValueError, match="received entropy=0.0, mass=1.5"):
        transport_plan(np.ones((2, 3)), mass=1.5)


@pytest.mark.parametrize(
    ("costs", "options", "error", "message"),
    [
        (np.zeros((0, 4)), {}, ValueError, r"received costs of shape \(0, 4\)"),
        (np.ones((2, 3)), {"entropy": np.nan}, ValueError, "received entropy=nan"),
        (np.ones((2, 3)), {"entropy": np.inf}, ValueError, "received entropy=inf"),
        (matrix(3, 40, 60), {"entropy": 1e-4}, ArithmeticError, "with entropy=0.0001. More"),
    ],
    ids=["no units", "NaN", "infinite", "hardly any"],
)
def test_what_has_no_plan(costs, options, error, message):
    with pytest.raises(error, match=message):
        transport_plan(costs, **options)


@pytest.mark.parametrize("mass", [1.0, 0.5])
def test_units_at_equal_costs_are_shared_out(mass):
    plan = transport_plan(np.ones((2, 3)), entropy=0.1, mass=mass)
    np.testing.assert_allclose(plan, mass / 6, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"entropy": 0.5}])
@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (6, 2)])
def test_plans_move_all_mass(shape, options):
    plan = transport_plan(matrix(0, *shape), **options)
    np.testing.assert_allclose(plan.sum(1), 1 / shape[0], atol=1e-6)
    np.testing.assert_allclose(plan.sum(0), 1 / shape[1], atol=1e-6)


def test_the_exact_plan_of_equal_sizes_is_the_assignment():
    costs = matrix(1, 9, 9)
    np.testing.assert_array_equal(transport_plan(costs).argmax(1), assign(costs))


@pytest.mark.parametrize("options", [{}, {"entropy": 0.1}])
def test_partial_plans_leave_the_dearest_behind(options):
    costs = 1 - np.eye(6)
    costs[0] = 10
    plan = transport_plan(costs, mass=5 / 6, **options)
    np.testing.assert_allclose(plan.sum(), 5 / 6, atol=1e-6)
    assert plan[0].sum() < 1e-3


@pytest.mark.slow
def test_a_plan_does_not_load_tensorflow_through_pot():
    code = (
        "import os; from mc_keras.units import transport_plan; import numpy;"
        "transport_plan(numpy.ones((2, 3)));"
        "import ot.backend; assert not ot.backend.tf;"
        "assert 'POT_BACKEND_DISABLE_TENSORFLOW' not in os.environ"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
