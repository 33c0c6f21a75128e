"""What is solved for in one linear layer: least squares on features, or mean and deviation."""

import abc
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import ROWS_BYTES, KeptBlocks, Rows
from mc_keras.adjustment.linear_layers import LinearLayer
from mc_keras.adjustment.networks import Network
from mc_keras.adjustment.normal_equations import (
    NormalEquations,
    RowEquations,
    are_few,
    check_finite_rows,
)
from mc_keras.adjustment.normed import NormedLayer
from mc_keras.adjustment.program import ProgramCall
from mc_keras.adjustment.solutions import Solutions


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a layer is to give.

    Attributes:
        layer: The layer.
        ends: What its activation is given in the two ends, in rows, with what stands beside it
            added.
        beside: Slots that its outputs are added to, see `Program.beside`.
        normed: The layer with the batch norm that stands between it and these, if there is one.
    """

    layer: LinearLayer
    ends: Sequence[Rows]
    beside: tuple[int, ...] = ()
    normed: NormedLayer | None = None

    @property
    def solved(self) -> "LinearLayer | NormedLayer":
        """What is solved for."""
        return self.normed or self.layer


class Solver(abc.ABC):
    """Finds weights for one linear layer of a network.

    Attributes:
        solves_first: Whether layers that read the same in all networks are solved for.
        solves_outputs: Whether the layer that gives the outputs is solved for.
        fits: Whether outputs are fitted, which takes as many rows as features; then those sums are
            that outputs are a part of.
    """

    solves_first: bool
    solves_outputs: bool
    fits: bool

    @abc.abstractmethod
    def __call__(
        self, call: ProgramCall, network: Network, goal: Goal, t: float
    ) -> NDArray[np.float64]:
        """What is solved for: as `LinearLayer.arrays` take it, or `NormedLayer.pass_with`.

        Args:
            call: The call of the layer.
            network: The network, at `t`.
            goal: What the layer is to give.
            t: Position.
        """


class LeastSquares(Solver):
    """Weights that give the interpolated outputs best, near those that the network has.

    Where the outputs go through batch norm, what that gives is fitted, its scale and offset solved
    for too. Where they are added to others, as on a residual stream, the sum is: what the others
    got wrong is made good.

    A layer that reads the same in all networks, as the first one does, keeps its weights: on a
    straight line they are the solution, if no batch norm is behind it.

    Args:
        ridge: See `NormalEquations`.
    """

    solves_first = False
    solves_outputs = True
    fits = True

    def __init__(self, ridge: float):
        self.ridge = ridge

    def __call__(
        self, call: ProgramCall, network: Network, goal: Goal, t: float
    ) -> NDArray[np.float64]:
        """See the base class."""
        num_rows, normed = goal.layer.num_rows(network.num_examples), goal.normed
        prior = normed.folded(network) if normed else goal.layer.matrix_at(network.point)
        equations = equations_of(prior, self.ridge, call, num_rows)
        rows = network.features(goal.layer, call, goal.beside)
        for (features, others), start, end in zip(rows, *goal.ends, strict=True):
            given = normed.features(features) if normed else features
            equations.add(given, (1 - t) * start + t * end - others)
        return equations.solve()


def equations_of(
    prior: NDArray, ridge: float, call: ProgramCall, num_rows: int
) -> NormalEquations | RowEquations:
    """Equations for the weights of a layer, without rows yet, of which so many will come."""
    kind = RowEquations if are_few(num_rows, len(prior)) else NormalEquations
    return kind(prior, ridge, _name(call))


def put(
    layer: LinearLayer,
    network: Network,
    solutions: Solutions,
    solve: Callable[[], NDArray[np.float64]],
) -> None:
    """Give a network the weights of a layer: the next solution, found by `solve`."""
    solution = solutions.next(lambda: solve().astype(layer.dtype))
    for number, array in layer.arrays(solution).items():
        network.set(number, array)


class Rescaling(Solver):
    """Each unit's outputs get the mean and the deviation of the two ends, interpolated: REPAIR.

    Units whose outputs are the same for all examples get the mean only; without a bias only the
    deviation is set.

    Reference:
        Jordan et al., REPAIR, 2023, section 3, https://arxiv.org/abs/2211.08403
    """

    solves_first = True
    solves_outputs = False
    fits = False

    def __call__(
        self, call: ProgramCall, network: Network, goal: Goal, t: float
    ) -> NDArray[np.float64]:
        """See the base class."""
        layer = goal.layer
        mean, deviation = _moments(KeptBlocks(network.rows(layer, call), ROWS_BYTES // 2), call)
        start, end = (_moments(rows, call) for rows in goal.ends)
        wanted_mean, wanted = (
            (1 - t) * first + t * second for first, second in zip(start, end, strict=True)
        )
        alive = deviation > 1e-6 * np.max(deviation, initial=0.0)
        factor = np.where(alive, wanted / np.where(alive, deviation, 1.0), 1.0)
        matrix = layer.matrix_at(network.point)
        if layer.bias is not None:
            matrix[-1] -= mean
        matrix *= factor
        if layer.bias is not None:
            matrix[-1] += wanted_mean
        return matrix


def _name(call: ProgramCall) -> str:
    return f"the layer '{call.path}'"


def _moments(rows: Rows, call: ProgramCall) -> tuple[NDArray, NDArray]:
    for block in rows:
        check_finite_rows(_name(call), block)
    count = sum(len(r) for r in rows)
    mean = sum(r.sum(0, dtype="float64") for r in rows) / count
    squares = sum(np.sum(np.square(r - mean), 0, dtype="float64") for r in rows)
    return np.asarray(mean), np.sqrt(squares / count)
