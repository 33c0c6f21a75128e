"""Matching of the hidden units of two networks, one group after the other until nothing moves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.activations import correlations
from mc_keras.units.assignment import assign
from mc_keras.units.groups import UnitGroup
from mc_keras.units.nesting import Nest, find_nests
from mc_keras.units.permutation import permute
from mc_keras.units.search import unit_groups
from mc_keras.weight_space import WeightSpace, check_same_architecture

By = Literal["weights", "activations", "both"]


@dataclass(frozen=True, eq=False)
class Matching:
    """Which unit of the second network goes with which of the first.

    Attributes:
        groups: The unit groups of the architecture.
        permutations: For each group, integers of shape `(size,)`: unit `u` of the first network
            goes with unit `permutation[u]` of the second. `permute_all(groups, permutations,
            point, state)` reorders the second network.
        costs: The cost before the first step and after each sweep over the groups, never rising.
    """

    groups: tuple[UnitGroup, ...]
    permutations: tuple[NDArray[np.int64], ...]
    costs: tuple[float, ...]


def match_units(
    start: keras.Model,
    end: keras.Model,
    *,
    by: By = "weights",
    x: NDArray | None = None,
    only: Sequence[str] | None = None,
    seed: int = 0,
    max_sweeps: int = 100,
) -> Matching:
    """Find the reordering of the hidden units of `end` that is nearest to `start`.

    The cost by weights is the squared Euclidean distance of the two networks' butterflies. A
    butterfly of one group depends on the order of the units of its neighbours, so the groups are
    matched in turn, each exactly, until none can be improved. With one hidden layer the first
    step is the optimum. The cost by activations is one minus the correlation, summed over units;
    the groups do not depend on each other, and those whose activations the graph does not show,
    such as the heads of an attention layer, keep their order. The cost by both is the sum,
    the former scaled to 2 for each unit of networks at right angles.

    Args:
        start: Sequential or Functional model. Not changed.
        end: Model of the same architecture. Not changed.
        by: "weights", "activations" or "both".
        x: Inputs of shape `(N, ...)`, for matching by activations.
        only: Names of the groups to match; the others keep their order. All if not given.
        seed: Seed of the order of the groups after the first sweep, which follows the graph.
        max_sweeps: Number of sweeps after which to stop.

    Returns:
        The matching.

    Raises:
        ValueError: If the architectures differ, an option is unknown, or data are missing.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.4, for one hidden layer. Ainsworth, Hayase and
        Srinivasa, Git Re-Basin, 2023, algorithm 1, https://arxiv.org/abs/2209.04836

    Example:
    >>> matching = match_units(model, model)  # doctest: +SKIP
    >>> [(p == np.arange(p.size)).all() for p in matching.permutations]  # doctest: +SKIP
    [True]
    """
    check_same_architecture(start, end)
    if by not in ("weights", "activations", "both"):
        raise ValueError(f"Units are matched by 'weights', 'activations' or 'both', not by={by!r}.")
    if by != "weights" and x is None:
        raise ValueError(f"Matching by {by} needs inputs of the networks: pass x=inputs.")
    groups = unit_groups(start)
    chosen = _chosen(groups, only)
    fixed: list[NDArray | None] = [None] * len(groups)
    if by != "weights" and x is not None:
        found = correlations(start, end, x)
        fixed = [None if c is None else 1 - c for c in found]
    descent = _Descent(groups, WeightSpace(start).read(), WeightSpace(end).read(), fixed, by)
    rng = np.random.default_rng(seed)
    costs = [descent.cost()]
    order = np.array(chosen, np.int64)
    for _ in range(max_sweeps):
        moved = [descent.step(number, chosen) for number in order]
        costs.append(descent.cost())
        if not any(moved):
            break
        order = rng.permutation(chosen)
    return Matching(groups, tuple(descent.permutations), tuple(costs))


def _chosen(groups: Sequence[UnitGroup], only: Sequence[str] | None) -> list[int]:
    names = [group.name for group in groups]
    if only is None:
        return list(range(len(groups)))
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise ValueError(f"There is no unit group {unknown[0]!r}: the groups are {names}.")
    return [names.index(name) for name in only]


class _Descent:
    """The second network in its present order, and the steps that improve it."""

    def __init__(
        self,
        groups: Sequence[UnitGroup],
        start: list[NDArray],
        end: list[NDArray],
        fixed: list[NDArray | None],
        by: By,
    ):
        self.groups, self.start, self.end, self.fixed = groups, start, end, fixed
        self.nests = find_nests(groups, start)
        self.permutations = [np.arange(group.size) for group in groups]
        self.by = by
        squares = sum(np.sum(np.square(w, dtype="float64")) for w in (*start, *end))
        num_units = sum(group.size for group in groups)
        self.scale = 2 * num_units / float(squares or 1.0) if by == "both" else 1.0

    def cost(self) -> float:
        """The cost in the present order."""
        total = 0.0
        if self.by != "activations":
            total += self.scale * _squared_distance(self.start, self.end)
        for costs, permutation in zip(self.fixed, self.permutations, strict=True):
            if costs is not None:
                total += float(costs[np.arange(len(costs)), permutation].sum())
        return total

    def step(self, number: int, chosen: Collection[int]) -> bool:
        """Match one group, the others as they are. Returns whether the cost fell.

        Units that hold groups of their own, as heads do, are matched together with these, if they
        are among the chosen.
        """
        costs = present = self._costs(number)
        if costs is None or present is None:
            return False
        inner: dict[tuple[int, int], list[tuple[int, NDArray]]] = {}
        for nest in self.nests:
            if nest.outer == number and set().union(*nest.inner) <= set(chosen):
                costs, inner = self._with_inner(nest, present)
        found = assign(costs)
        rows = np.arange(found.size)
        if costs[rows, found].sum() >= present.trace() - 1e-12 * np.ptp(costs) * found.size:
            return False
        before = self.cost(), self.end, list(self.permutations)
        for pair in zip(rows.tolist(), found.tolist(), strict=True):
            for held, order in inner.get(pair, []):
                self._move(held, order)
        self._move(number, found)
        # The costs of a step are not exact for weights between units of one group, nor for inner
        # groups that share weights: such a step can lead uphill.
        if self.cost() < before[0]:
            return True
        _, self.end, self.permutations = before
        return False

    def _costs(self, number: int) -> NDArray | None:
        fixed = self.fixed[number]
        costs = None if fixed is None else fixed[:, self.permutations[number]]
        if self.by == "activations":
            return costs
        weights = self.scale * butterfly_costs(self.groups[number], self.start, self.end)
        return weights if costs is None else costs + weights

    def _with_inner(
        self, nest: Nest, costs: NDArray
    ) -> tuple[NDArray, dict[tuple[int, int], list[tuple[int, NDArray]]]]:
        """Costs of units whose inner groups are matched first, and the orders these then have."""
        costs = costs.copy()
        orders: dict[tuple[int, int], list[tuple[int, NDArray]]] = {}
        for u, v in np.ndindex(costs.shape):
            orders[u, v] = []
            for first, second in zip(nest.inner[u], nest.inner[v], strict=True):
                rows = self.groups[first].rows(self.start), self.groups[second].rows(self.end)
                within = self.scale * _squared_distances(*rows)
                order = assign(within)
                costs[u, v] += within[np.arange(order.size), order].sum() - within.trace()
                orders[u, v].append((second, order))
        return costs, orders

    def _move(self, number: int, order: NDArray) -> None:
        """Reorder a group of the second network as it now is."""
        self.end = permute(self.groups[number], order, self.end)[0]
        # Inner groups are permuted before the units that hold them: this one was elsewhere then.
        for nest in self.nests:
            place = nest.unit_of(number)
            if place is not None:
                unit, part = place
                number = nest.inner[self.permutations[nest.outer][unit]][part]
        self.permutations[number] = self.permutations[number][order]


def butterfly_costs(
    group: UnitGroup, start: Sequence[NDArray], end: Sequence[NDArray]
) -> NDArray[np.float64]:
    """Squared Euclidean distance of each butterfly of `start` to each of `end`, in float64.

    Shape `(size, size)`, rows for `start`.
    """
    return _squared_distances(group.rows(start), group.rows(end))


def _squared_distances(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    a, b = a.astype("float64"), b.astype("float64")
    squares = np.sum(a * a, 1)[:, None] + np.sum(b * b, 1)
    return np.maximum(squares - 2 * (a @ b.T), 0)


def _squared_distance(a: Sequence[NDArray], b: Sequence[NDArray]) -> float:
    pairs = zip(a, b, strict=True)
    return float(sum(np.sum(np.square(np.subtract(v, w, dtype="float64"))) for v, w in pairs))
