"""The second of two networks, its groups of units reordered in turn to be nearer to the first."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mc_keras.progress import ProgressBar
from mc_keras.units.assignment import assign, assign_again
from mc_keras.units.distances import Distances, squared_distances
from mc_keras.units.groups import UnitGroup
from mc_keras.units.nesting import Nest, find_nests
from mc_keras.units.permutation import permute
from mc_keras.units.places import Role

By = Literal["weights", "incoming", "activations", "both"]


class Descent:
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
        self.role: Role | None = "in" if by == "incoming" else None
        nested = {number for nest in self.nests for number in (nest.outer, *sum(nest.inner, ()))}
        self.exact = [
            number not in nested and _has_no_inner_weights(group)
            for number, group in enumerate(groups)
        ]
        self.weights = sorted({a.variable for group in groups for a in group.axes if a.trainable})
        squares = sum(
            np.sum(np.square(point[i], dtype="float64"))
            for point in (start, end)
            for i in self.weights
        )
        num_units = sum(group.size for group in groups)
        self.scale = 2 * num_units / float(squares or 1.0) if by == "both" else 1.0

    def run(self, chosen: Sequence[int], seed: int, sweeps: int, verbose: int) -> list[float]:
        """Match the chosen groups in turn until nothing moves; the costs before and after each."""
        rng = np.random.default_rng(seed)
        self.distances = Distances(self.start)
        self.moves, self.settled = 0, dict[int, int]()
        self.prices = dict[int, NDArray]()
        costs = [self.cost()]
        order = np.array(chosen, np.int64)
        for sweep in range(sweeps):
            bar = ProgressBar(f"matching units, sweep {sweep + 1}", len(order), verbose=verbose)
            moved = []
            for number in order:
                moved.append(self.step(number, chosen))
                bar.add(1)
            costs.append(self.cost())
            if not any(moved):
                break
            order = rng.permutation(chosen)
        return costs

    def cost(self) -> float:
        """The cost in the present order."""
        if self.role is not None:
            return sum(self._own_cost(number) for number in range(len(self.groups)))
        total = 0.0
        if self.by != "activations":
            points = ([point[i] for i in self.weights] for point in (self.start, self.end))
            total += self.scale * _squared_distance(*points)
        for costs, permutation in zip(self.fixed, self.permutations, strict=True):
            if costs is not None:
                total += float(costs[np.arange(len(costs)), permutation].sum())
        return total

    def step(self, number: int, chosen: Collection[int]) -> bool:
        """Match one group, the others as they are. Returns whether the cost fell.

        Units that hold groups of their own, as heads do, are matched together with these, if they
        are among the chosen.
        """
        if self.settled.get(number) == self.moves:
            return False
        self.settled[number] = self.moves
        costs = present = self._costs(number)
        if costs is None or present is None:
            return False
        inner: dict[tuple[int, int], list[tuple[int, NDArray]]] = {}
        for nest in self.nests:
            if nest.outer == number and set().union(*nest.inner) <= set(chosen):
                costs, inner = self._with_inner(nest, present)
        found, self.prices[number] = assign_again(costs, self.prices.get(number))
        rows = np.arange(found.size)
        if costs[rows, found].sum() >= present.trace() - 1e-12 * np.ptp(costs) * found.size:
            return False
        if self.exact[number]:
            self._move(number, found)
            self.settled[number] = self.moves
            return True
        measured = self.cost if self.role is None else partial(self._own_cost, number)
        before = measured(), self.end, list(self.permutations), self.moves, dict(self.prices)
        for pair in zip(rows.tolist(), found.tolist(), strict=True):
            for held, order in inner.get(pair, []):
                self._move(held, order)
        self._move(number, found)
        # The costs of a step are not exact for weights between units of one group, nor for inner
        # groups that share weights: such a step can lead uphill.
        if measured() < before[0]:
            return True
        _, self.end, self.permutations, self.moves, self.prices = before
        return False

    def _costs(self, number: int) -> NDArray | None:
        fixed = self.fixed[number]
        costs = None if fixed is None else fixed[:, self.permutations[number]]
        if self.by == "activations":
            return costs
        group = self.groups[number]
        if not group.row_axes(self.role):
            return costs
        weights = self.distances(group, self.end, self.role)
        weights *= self.scale
        return weights if costs is None else costs + weights

    def _own_cost(self, number: int) -> float:
        """The cost of one group's weights in the present order."""
        group = self.groups[number]
        if not group.row_axes(self.role):
            return 0.0
        rows = (group.rows(point, self.role) for point in (self.start, self.end))
        return _squared_distance(*([array] for array in rows))

    def _with_inner(
        self, nest: Nest, costs: NDArray
    ) -> tuple[NDArray, dict[tuple[int, int], list[tuple[int, NDArray]]]]:
        """Costs of units whose inner groups are matched first, and the orders these then have."""
        costs = costs.copy()
        orders: dict[tuple[int, int], list[tuple[int, NDArray]]] = {}
        for u, v in np.ndindex(costs.shape):
            orders[u, v] = []
            for first, second in zip(nest.inner[u], nest.inner[v], strict=True):
                rows = (
                    self.groups[first].rows(self.start, self.role),
                    self.groups[second].rows(self.end, self.role),
                )
                within = self.scale * squared_distances(*rows)
                order = assign(within)
                costs[u, v] += within[np.arange(order.size), order].sum() - within.trace()
                orders[u, v].append((second, order))
        return costs, orders

    def _move(self, number: int, order: NDArray) -> None:
        """Reorder a group of the second network as it now is."""
        self.end = permute(self.groups[number], order, self.end)[0]
        self.distances.reorder(self.groups[number], order)
        if number in self.prices:
            self.prices[number] = self.prices[number][order]
        self.moves += 1
        # Inner groups are permuted before the units that hold them: this one was elsewhere then.
        for nest in self.nests:
            place = nest.unit_of(number)
            if place is not None:
                unit, part = place
                number = nest.inner[self.permutations[nest.outer][unit]][part]
        self.permutations[number] = self.permutations[number][order]


def _has_no_inner_weights(group: UnitGroup) -> bool:
    """Whether no weight joins two units of the group, so that the costs of a step are exact."""
    variables = [axis.variable for axis in group.axes if axis.trainable]
    return len(set(variables)) == len(variables)


def _squared_distance(a: Sequence[NDArray], b: Sequence[NDArray]) -> float:
    pairs = zip(a, b, strict=True)
    return float(sum(np.sum(np.square(np.subtract(v, w, dtype="float64"))) for v, w in pairs))
