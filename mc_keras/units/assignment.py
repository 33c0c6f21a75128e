"""Exact assignment, with a certificate that it is optimal."""

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# Relative gap below which an assignment counts as optimal: rounding of the costs themselves.
TOLERANCE = 1e-9


def assign(costs: NDArray) -> NDArray[np.int64]:
    """The permutation `p` with the least `sum(costs[i, p[i]])`.

    The result is checked by linear programming duality; see `optimality_gap`.

    Args:
        costs: Square matrix of finite costs.

    Returns:
        Integers of shape `(n,)`.

    Raises:
        ValueError: If `costs` is not a square matrix of finite numbers.
        ArithmeticError: If no optimal assignment was found.
    """
    costs = check_costs(costs)
    if costs.shape[0] != costs.shape[1]:
        raise ValueError(
            f"An assignment needs a square matrix of costs, received shape {costs.shape}: use "
            "mc_keras.units.transport_plan for groups of unequal sizes."
        )
    if len(costs) < 2:
        return np.arange(len(costs))
    _, permutation, _ = lap.lapjv(costs)
    if _is_optimal(costs, permutation):
        return permutation.astype(np.int64)
    permutation = linear_sum_assignment(costs)[1]
    if not _is_optimal(costs, permutation):
        raise ArithmeticError(
            f"No optimal assignment of {len(costs)} units was found: the costs span too many "
            "orders of magnitude; rescale the networks' weights."
        )
    return permutation.astype(np.int64)


def optimality_gap(costs: NDArray, permutation: NDArray[np.int64]) -> float:
    """An upper bound on how far an assignment is above the least cost.

    For any prices `v` and `u[i] = min(costs[i] - v)`, no assignment costs less than
    `sum(u) + sum(v)`. The prices are improved by Bellman and Ford's shortest paths in the residual
    graph, which reach gap zero if and only if the assignment is optimal.

    Args:
        costs: Square matrix of finite costs.
        permutation: The assignment.

    Returns:
        The bound, in the unit of the costs, not negative.
    """
    order = np.asarray(permutation)
    excess = costs - costs[np.arange(len(costs)), order][:, None]
    owner = np.argsort(order)
    prices = np.zeros(len(costs))
    changed = np.arange(len(costs))
    tolerance = 1e-3 * TOLERANCE * np.abs(excess).max()
    for _ in range(len(costs)):
        offers = (excess[owner[changed]] + prices[changed, None]).min(0)
        changed = np.flatnonzero(offers < prices - tolerance)
        if not changed.size:
            break
        prices[changed] = offers[changed]
    return float(np.sum((prices - excess).max(1) - prices[order]))


def check_costs(costs: NDArray) -> NDArray[np.float64]:
    """The matrix of costs in float64.

    Raises:
        ValueError: If it is not a matrix of finite numbers.
    """
    costs = np.ascontiguousarray(costs, "float64")
    if costs.ndim != 2:
        raise ValueError(f"Costs form a matrix of units by units, received shape {costs.shape}.")
    if not np.isfinite(costs).all():
        raise ValueError(
            "The costs of matching units hold NaN or infinity: the weights or activations of one "
            "of the networks are not finite; match networks whose training did not diverge."
        )
    return costs


def _is_optimal(costs: NDArray, permutation: NDArray) -> bool:
    if not np.array_equal(np.sort(permutation), np.arange(len(costs))):
        return False
    return optimality_gap(costs, permutation) <= TOLERANCE * max(np.ptp(costs) * len(costs), 1e-300)
