"""All layers at once: at each position the weights are solved layer after layer, going forward.

The features of each layer are those of the network so far, so that what the layers before it got
wrong is made good as far as it can be. The target is what the layer's activation is given in the
two ends, interpolated; where its outputs are added to others, as on a residual stream, the sum is.
Batch norm between the layer and these is solved for with it.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import ROWS_BYTES, KeptBlocks
from mc_keras.adjustment.linear_layers import LinearLayer, check_memory, warn_of_few_rows
from mc_keras.adjustment.networks import BYTES, Network, examples_of, same_weights
from mc_keras.adjustment.normed import NormedLayer
from mc_keras.adjustment.program import Program
from mc_keras.adjustment.solutions import Solutions
from mc_keras.adjustment.solvers import Goal, Solver, put
from mc_keras.batch_norm import BatchNormEstimator
from mc_keras.paths import Path
from mc_keras.progress import ProgressBar


@dataclasses.dataclass(frozen=True)
class SolvedPoints:
    """The points solved.

    Attributes:
        points: One point for each position.
        solved: Numbers of the variables that were solved for.
        windows: For each variable, the positions between which it moves.
    """

    points: list[list[NDArray]]
    solved: list[int]
    windows: list[tuple[float, float]]


def solve_along(
    base: Path,
    positions: Sequence[float],
    x: NDArray,
    solver: Solver,
    *,
    stagger: float = 0.0,
    num_examples: int | None = None,
    num_positions: int = 16,
    seed: int = 0,
    solutions: Solutions | None = None,
    verbose: int = 0,
) -> SolvedPoints:
    """Solve the linear layers of a network at some positions between two ends.

    Batch-norm layers measure their statistics as they are reached. Those that are not reached by
    themselves, in other layers or called more than once, have the interpolated ones first, are
    measured in the network that this gives, and have these when all is solved for once more.
    Layers that are called more than once stay on the base path.

    Args:
        base: Path between the ends that gives the weights that are not solved for, and those to
            start from.
        positions: Where to solve, in rising order: layers that are done stay so.
        x: Inputs of shape `(N, ...)`.
        solver: How.
        stagger: How far the layers go one after the other: 0, all at once; 1, each when the one
            before it is done; the heads, see `Program`, go together.
        num_examples: How many examples, drawn at random, are used; if not given, as many as can be
            held in memory. Of more, the activations go to temporary files.
        num_positions: Most output positions of a convolution that are used of each example.
        seed: Of the choice of examples and positions.
        solutions: What an earlier run has solved.
        verbose: 1 for a progress bar.

    Raises:
        ValueError: If the graph cannot be followed, no layer can be solved for, or a feature is not
            finite.
    """
    space, solutions = base.space, solutions or Solutions()
    program = Program(space.model, x.shape[1:])
    program.check_solvable()
    variables = {id(v): i for i, v in enumerate(space.variables)}
    x = examples_of(program, x, num_examples, seed)
    measured = BatchNormEstimator(space.model, x) if program.norms_apart() else None

    def end_at(t: float, limit: int) -> Network:
        state = measured(base(t), base.state(t)) if measured else base.state(t)
        return Network(program, space, base(t), state, {program.input: x}, limit)

    ends = [end_at(t, BYTES // 2) for t in (0.0, 1.0)]
    all_layers = program.linear_layers(space, num_positions, seed)
    layers = {number: all_layers[number] for number in _wanted(ends, solver)}
    named = {program.calls[number].path: layer for number, layer in layers.items()}
    if solver.fits:
        check_memory(named, len(x))
    goals = _goals(ends, solver, layers)
    del ends
    owners, a, b = _owners(program, variables), base(0.0), base(1.0)
    moving = {owners[i] for i in range(len(a)) if not np.array_equal(a[i], b[i])}
    ranks, count = _ranks(moving, len(program.steps)), max(len(moving), 1)
    rounds = 2 if measured else 1
    bar = ProgressBar("solving", len(goals) * len(positions) * rounds, verbose=verbose)
    walk = _Walk(end_at(1.0, BYTES // 3), goals, solver, solutions, bar)
    points = []
    for t in positions:
        share = [_share(t, _window(rank, count, stagger)) for rank in ranks]
        point, state = _mixed(base, owners, share), base.state(t)
        found = walk.solve(point, state, share)
        if measured:
            found = walk.solve(point, measured(found, state), share)
        points.append(found)
    if solver.fits:
        warn_of_few_rows(named, len(x))
    solved = {number for goal in goals.values() for number in goal.solved.numbers}
    windows = [_window(ranks[k], count, stagger) for k in owners]
    return SolvedPoints(points, sorted(solved), windows)


class _Walk:
    """Solves network after network, going from the start to the end.

    Args:
        end: The end, not run yet. It is run as far as the networks are the same; there it gives
            what is wanted.
        goals: What layers are to give.
        solver: How they are solved for.
        solutions: What an earlier run has solved.
        bar: Is told of every goal.
    """

    def __init__(
        self,
        end: Network,
        goals: dict[int, Goal],
        solver: Solver,
        solutions: Solutions,
        bar: ProgressBar,
    ):
        self.end, self.goals, self.solver = end, goals, solver
        self.solutions, self.bar = solutions, bar
        self._reached, self._past = 0, max(goals, default=-1) + 1

    def solve(
        self, point: list[NDArray], state: Sequence[NDArray], share: Sequence[float]
    ) -> list[NDArray]:
        """A point in which all layers with goals are solved for.

        Args:
            point: The weights to begin with.
            state: Their state, as far as it is not measured on the way.
            share: For each step, see `Program`, how far it has gone over to the end.
        """
        program = self.end.program
        while self._reached < self._past and _agrees(self.end, self._reached, point, state):
            self.end.run(self._reached)
            self._reached += 1
        self.end.settle(self._reached)
        self.bar.add(sum(position < self._reached for position in self.goals))
        network, position = self.end.at(point, state), self._reached
        while position < self._past:
            if position not in self.goals:
                network.run(position)
                position += 1
                continue
            network.settle(position)
            call, goal = program.calls[position], self.goals[position]
            own = share[program.step_of(position)]
            solve = functools.partial(self.solver, call, network, goal, own)
            if goal.normed:
                goal.normed.pass_with(self.solutions.next(solve), network, own)
                position += 2
            else:
                put(goal.layer, network, self.solutions, solve)
                network.run(position)
                position += 1
            self.bar.add(1)
        return [np.array(array) for array in network.point]


def _wanted(ends: Sequence[Network], solver: Solver) -> list[int]:
    """Numbers of the calls of layers that are solved for; the ends are not run for it."""
    program = ends[0].program
    # Slots that are the same in both.
    common, found = {program.input}, []
    both = [(network.point, network.state) for network in ends]
    for position, call in enumerate(program.calls):
        same = common.issuperset(call.inputs)
        if position in program.linear:
            is_output = position in program.heads and not solver.solves_outputs
            norm = program.norm_behind(position) if solver.fits else None
            # Measured anew, batch norm bends the straight line that its inputs go along.
            bent = norm is not None and not all(
                same_weights(program.calls[n], ends[0].space, *both, states=False)
                for n in (position, norm)
            )
            if not is_output and (solver.solves_first or not same or bent):
                found.append(position)
        if same and same_weights(call, ends[0].space, *both):
            common |= set(call.outputs)
    return found


def _goals(
    ends: Sequence[Network], solver: Solver, layers: dict[int, LinearLayer]
) -> dict[int, Goal]:
    """What layers are to give, by the numbers of their calls."""
    program, goals, left = ends[0].program, dict[int, Goal](), ROWS_BYTES
    position, past = 0, max(layers, default=-1) + 1
    while position < past:
        if position not in layers:
            for network in ends:
                network.run(position)
            position += 1
            continue
        beside = program.beside(position) if solver.fits else ()
        layer, normed, kept = layers[position], None, []
        norm = program.norm_behind(position) if solver.fits else None
        if norm is not None:
            normed = NormedLayer(layer, position, program.calls[norm].op, ends)
        for network in ends:
            network.settle(position)
            if normed:
                normed.run(network)
                rows = network.sums(layer, [*program.calls[position + 1].outputs, *beside])
            else:
                rows = network.rows(layer, program.calls[position], beside)
            kept.append(KeptBlocks(rows, left))
            left = max(left - kept[-1].nbytes, 0)
            if not normed:
                network.run(position)
        goals[position] = Goal(layer, kept, beside, normed)
        position += 2 if normed else 1
    return goals


def num_linear(model: keras.Model) -> int:
    """Number of layers of a model that can be solved for; heads, see `Program`, count as one."""
    return len(Program(model).steps)


def _window(k: int, count: int, stagger: float) -> tuple[float, float]:
    """Between which positions step `k` of `count` is made."""
    whole = 1 + stagger * (count - 1)
    return stagger * k / whole, (stagger * k + 1) / whole


def _share(t: float, window: tuple[float, float]) -> float:
    """How far a step is at `t` that is made between two positions."""
    begin, end = window
    share = min(max((t - begin) / (end - begin), 0.0), 1.0)
    # Not a rounding before or behind the beginning and the end.
    return round(share) if abs(share - round(share)) < 1e-9 else share


def _ranks(moving: set[int], num_steps: int) -> list[int]:
    """For each step, how many come before it, of those in which weights move.

    One in which they do not, being the same in both ends, goes with the one before it.
    """
    return [max(sum(k <= step for k in moving) - 1, 0) for step in range(num_steps)]


def _owners(program: Program, variables: dict[int, int]) -> list[int]:
    """For each variable, the number of the step that it moves with."""
    owners = [0] * len(variables)
    for number, call in enumerate(program.calls):
        for variable in call.weights:
            if id(variable) in variables:
                owners[variables[id(variable)]] = program.step_of(number)
    return owners


def _agrees(network: Network, position: int, point: Sequence[Any], state: Sequence[Any]) -> bool:
    """Whether a call has these weights, and these statistics or such as are measured anew."""
    program, space = network.program, network.space
    mine, states = (network.point, network.state), not program.measures(position)
    return same_weights(program.calls[position], space, mine, (point, state), states=states)


def _mixed(base: Path, owners: Sequence[int], shares: Sequence[float]) -> list[NDArray]:
    """A point at which each layer is as far along a path as its share says.

    Weights that are the same in both ends are these, to the bit.
    """
    points = {share: base(share) for share in {*shares, 0.0, 1.0}}
    return [
        start if np.array_equal(start, end) else points[shares[k]][i]
        for i, (k, start, end) in enumerate(zip(owners, points[0.0], points[1.0], strict=True))
    ]
