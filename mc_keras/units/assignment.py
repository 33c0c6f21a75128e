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
    return assign_again(costs)[0]


def assign_again(
    costs: NDArray, prices: NDArray | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Like `assign`, where the assignment for much the same costs was found before.

    Args:
        costs: Square matrix of finite costs.
        prices: Prices of the columns that were found with that assignment, shape `(n,)`. With the
            prices of the optimum every row takes one of its cheapest columns, so little is left to
            do. Any others give the same assignment, only later.

    Returns:
        The permutation, and the prices of the columns: `sum(min(costs - prices, axis=1)) +
        sum(prices)` is the cost of the assignment, up to rounding, and a bound on that of any.

    Raises:
        ValueError: As `assign`.
        ArithmeticError: As `assign`.
    """
    costs = check_costs(costs)
    if costs.shape[0] != costs.shape[1]:
        raise ValueError(
            f"An assignment needs a square matrix of costs, received shape {costs.shape}: use "
            "mc_keras.units.transport_plan for groups of unequal sizes."
        )
    total = np.zeros(len(costs)) if prices is None else prices.copy()
    if len(costs) < 2:
        return np.arange(len(costs)), total
    # What every assignment pays would drown the rest in rounding where one unit is far larger.
    costs = costs - total
    costs -= costs.min(1, keepdims=True)
    least = costs.min(0)
    costs -= least
    total += least
    permutation = lap.lapjv(costs)[1]
    found = _proven(costs, permutation)
    if found is None:
        permutation = linear_sum_assignment(costs)[1]
        found = _proven(costs, permutation)
    if found is None:
        raise ArithmeticError(
            f"No optimal assignment of {len(costs)} units was found: the costs span too many "
            "orders of magnitude; rescale the networks' weights."
        )
    return permutation.astype(np.int64), total + found


def optimality_gap(costs: NDArray, permutation: NDArray[np.int64]) -> float:
    """An upper bound on how far an assignment is above the least cost.

    For any prices `v` and `u[i] = min(costs[i] - v)`, no assignment costs less than
    `sum(u) + sum(v)`.

    Args:
        costs: Square matrix of finite costs.
        permutation: The assignment.

    Returns:
        The bound, in the unit of the costs, not negative.
    """
    return _certificate(costs, permutation)[0]


def _certificate(costs: NDArray, permutation: NDArray) -> tuple[float, NDArray[np.float64]]:
    """`optimality_gap`, and the prices that show it.

    These are improved by Bellman and Ford's shortest paths in the residual graph, which reach gap
    zero if and only if the assignment is optimal. The shortest edges to each node nearly always
    suffice: the others are looked at when these are done, and those that are missed join them.
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
    return float(np.sum(np.subtract(prices[:, None], excess, out=offers).max(0) - prices)), prices


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


def _proven(costs: NDArray, permutation: NDArray) -> NDArray[np.float64] | None:
    """The prices that show an assignment to be optimal; `None` if it is not."""
    if not np.array_equal(np.sort(permutation), np.arange(len(costs))):
        return None
    gap, prices = _certificate(costs, permutation)
    return prices if gap <= TOLERANCE * max(np.ptp(costs) * len(costs), 1e-300) else None
