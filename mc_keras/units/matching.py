"""Matching of the hidden units of two networks, one group after the other until nothing moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.architecture import check_same_architecture
from mc_keras.storage import fingerprint
from mc_keras.units.activations import correlations
from mc_keras.units.descent import By, Descent
from mc_keras.units.groups import UnitGroup
from mc_keras.units.search import unit_groups
from mc_keras.user_warning import warn_user
from mc_keras.weight_space import WeightSpace

# `best`, and rows of a table that differ in what follows, ask for the same matchings again.
_KEPT: dict[str, tuple[list[NDArray[np.int64]], list[float]]] = {}
_MOST_KEPT = 16


@dataclass(frozen=True, eq=False)
class Matching:
    """Which unit of the second network goes with which of the first.

    Attributes:
        groups: The unit groups of the architecture.
        permutations: For each group, integers of shape `(size,)`: unit `u` of the first network
            goes with unit `permutation[u]` of the second. `permute_all(groups, permutations,
            point, state)` reorders the second network.
        costs: The cost before the first step and after each sweep over the groups, never rising
            (but by incoming weights it may).
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
    on_unknown: Literal["error", "end"] = "error",
    verbose: int = 0,
) -> Matching:
    """Find the reordering of the hidden units of `end` that is nearest to `start`.

    The cost by weights is the squared Euclidean distance of the two networks' butterflies, each
    weight that a permutation moves counted once. A butterfly of one group depends on the order of
    the units of its neighbours, so the groups are matched in turn, each exactly, until none can be
    improved: once from the order that they have, once from that by incoming weights, and the lower
    cost counts. With one hidden layer the first step is the optimum. The cost by activations is one
    minus the correlation, summed over units; the groups do not depend on each other, and those
    whose activations the graph does not show, such as the heads of an attention layer, keep their
    order, of which a warning tells. The cost by both is the sum, the former scaled to 2 for each
    unit of networks at right angles. By incoming weights, without those that lead out of the units,
    each group is matched once, in the order of the graph.

    Args:
        start: Sequential or Functional model. Not changed.
        end: Model of the same architecture. Not changed.
        by: "weights", "incoming", "activations" or "both".
        x: Inputs of shape `(N, ...)`, for matching by activations.
        only: Names of the groups to match; the others keep their order. All if not given.
        seed: Seed of the order of the groups after the first sweep, which follows the graph.
        max_sweeps: Number of sweeps after which to stop.
        on_unknown: What to do at a layer without a rule, see `unit_groups`.
        verbose: 0 silent, 1 progress.

    Returns:
        The matching.

    Raises:
        ValueError: If the architectures differ, an option is unknown, data are missing, or a layer
            has no rule.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.4, for one hidden layer, section 3.5 for incoming
        weights. Ainsworth, Hayase and Srinivasa, Git Re-Basin, 2023, algorithm 1,
        https://arxiv.org/abs/2209.04836

    Example:
    >>> matching = match_units(model, model)  # doctest: +SKIP
    >>> [(p == np.arange(p.size)).all() for p in matching.permutations]  # doctest: +SKIP
    [True]
    """
    check_same_architecture(start, end)
    if by not in get_args(By):
        raise ValueError(
            f"Units are matched by 'weights', 'incoming', 'activations' or 'both', not by={by!r}."
        )
    by_data = by in ("activations", "both")
    if by_data and x is None:
        raise ValueError(f"Matching by {by} needs inputs of the networks: pass x=inputs.")
    groups = unit_groups(start, on_unknown)
    chosen = _chosen(groups, only)
    fixed: list[NDArray | None] = [None] * len(groups)
    if by_data and x is not None:
        found = correlations(start, end, x, verbose=verbose)
        if by == "activations":
            _warn_of_unseen([groups[number].name for number in chosen if found[number] is None])
        fixed = [None if c is None else 1 - c for c in found]
    points = WeightSpace(start).read(), WeightSpace(end).read()
    task = _digest(groups, points, fixed, (by, tuple(chosen), seed, max_sweeps))
    if task not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[task] = _descend(groups, points, fixed, by, chosen, seed, max_sweeps, verbose)
    permutations, costs = _KEPT[task]
    return Matching(groups, tuple(p.copy() for p in permutations), tuple(costs))


def _digest(
    groups: Sequence[UnitGroup],
    points: Sequence[list[NDArray]],
    fixed: list[NDArray | None],
    options: tuple,
) -> str:
    """Fingerprint of all that a matching depends on."""
    axes = [axis for group in groups for axis in group.axes]
    layout = [(a.variable, a.trainable, a.axis, a.role, a.merged) for a in axes]
    owners = [(group.size, len(group.axes)) for group in groups]
    seen = [number for number, costs in enumerate(fixed) if costs is not None]
    text = repr((options, owners, layout, [len(point) for point in points], seen)).encode()
    arrays = [*(array for point in points for array in point), *(a.positions for a in axes)]
    arrays += [costs for costs in fixed if costs is not None]
    return fingerprint([np.frombuffer(text, "uint8"), *arrays])


def _descend(
    groups: Sequence[UnitGroup],
    points: Sequence[list[NDArray]],
    fixed: list[NDArray | None],
    by: By,
    chosen: Sequence[int],
    seed: int,
    max_sweeps: int,
    verbose: int,
) -> tuple[list[NDArray[np.int64]], list[float]]:
    """The permutations, and the costs before the first sweep and after each."""
    start, end = points
    descent = Descent(groups, start, end, fixed, by)
    sweeps = 1 if by == "incoming" else max_sweeps
    costs = descent.run(chosen, seed, sweeps, verbose)
    if by == "weights" and len(chosen) > 1:
        other = Descent(groups, start, end, fixed, "incoming")
        other.run(chosen, seed, 1, verbose)
        other.by, other.role = by, None
        others = other.run(chosen, seed, sweeps, verbose)
        if others[-1] < costs[-1]:
            descent = other
            costs = [costs[0], *(cost for cost in others if cost < costs[0])]
    return descent.permutations, costs


def _warn_of_unseen(names: Sequence[str]) -> None:
    if names:
        warn_user(
            f"The activations of the unit groups {', '.join(map(repr, names))} cannot be seen in "
            "the graph: their units keep their order. Match by='both' or by='weights' to match "
            "them too."
        )


def _chosen(groups: Sequence[UnitGroup], only: Sequence[str] | None) -> list[int]:
    names = [group.name for group in groups]
    if only is None:
        return list(range(len(groups)))
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise ValueError(f"There is no unit group {unknown[0]!r}: the groups are {names}.")
    return [names.index(name) for name in only]
