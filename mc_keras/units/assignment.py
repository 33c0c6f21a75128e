"""Exact assignment, with a certificate that it is optimal."""

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# Relative gap below which an assignment counts as optimal: rounding of the costs themselves.
TOLERANCE = 1e-9
# Edges of each node of the residual graph that are looked at first.
_FEW = 32
# Rows that are sorted at a time: their indices take as much memory as the costs.
_BLOCK = 256


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
    # What every assignment pays would drown the rest in rounding where one unit is far larger.
    costs = costs - costs.min(1, keepdims=True)
    costs -= costs.min(0)
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
    graph, which reach gap zero if and only if the assignment is optimal. The shortest edges to each
    node nearly always suffice: the others are looked at when these are done, and those that are
    missed join them.

    Args:
        costs: Square matrix of finite costs.
        permutation: The assignment.

    Returns:
        The bound, in the unit of the costs, not negative.
    """
    order, size = np.asarray(permutation), len(costs)
    columns = np.arange(size)
    # By column, and the row that owns it: what it costs if that row takes another column.
    owners = np.argsort(order)
    excess = np.ascontiguousarray(costs[owners].T)
    excess -= excess.diagonal().copy()
    sources = _smallest(excess, _FEW)
    lengths = np.take_along_axis(excess, sources, 1)
    tolerance = 1e-3 * TOLERANCE * max(excess.max(), -excess.min())
    prices = np.zeros(size)
    offers = np.empty_like(excess)
    for _ in range(size):
        for _ in range(size):
            least = (lengths + prices[sources]).min(1)
            lower = least < prices - tolerance
            if not lower.any():
                break
            prices[lower] = least[lower]
        else:
            break  # Around a cycle of negative length prices fall for ever.
        missed = np.add(excess, prices, out=offers).argmin(1)
        lower = offers[columns, missed] < prices - tolerance
        if not lower.any():
            break
        sources = np.column_stack([sources, missed])
        lengths = np.column_stack([lengths, excess[columns, missed]])
    return float(np.sum(np.subtract(prices[:, None], excess, out=offers).max(0) - prices))


def _smallest(matrix: NDArray, count: int) -> NDArray[np.int64]:
    """Where the smallest entries of each row are, shape `(rows, at most count)`."""
    count = min(count, matrix.shape[1])
    found = np.empty((len(matrix), count), np.int64)
    for rows in range(0, len(matrix), _BLOCK):
        block = matrix[rows : rows + _BLOCK]
        found[rows : rows + _BLOCK] = np.argpartition(block, count - 1, axis=1)[:, :count]
    return found


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
