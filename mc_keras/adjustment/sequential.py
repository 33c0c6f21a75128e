"""All layers at once: at each position the weights are solved layer after layer, going forward.

The features of each layer are those of the network so far, so that what the layers before it got
wrong is made good as far as it can be. The target is what the layer's activation is given in the
two ends, interpolated; where its outputs are added to others, as on a residual stream, the sum is.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import ROWS_BYTES, KeptBlocks
from mc_keras.adjustment.linear_layers import LinearLayer, warn_of_few_rows
from mc_keras.adjustment.networks import BYTES, Network, examples_of, same_weights
from mc_keras.adjustment.program import Program
from mc_keras.adjustment.solutions import Solutions
from mc_keras.adjustment.solvers import Goal, Solver, put
from mc_keras.batch_norm import estimate_batch_norm, has_batch_norm
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

    Batch-norm layers measure their statistics as they are reached. Layers that are called more than
    once stay on the base path, with the statistics that they have there.

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
    program = Program(space.model)
    program.check_solvable()
    variables = {id(v): i for i, v in enumerate(space.variables)}
    x = examples_of(program, x, num_examples, seed)

    def network_at(t: float, limit: int) -> Network:
        state = _state(program, base, t, x)
        return Network(program, space, base(t), state, {program.input: x}, limit)

    goals = _goals(
        [network_at(t, BYTES // 2) for t in (0.0, 1.0)],
        solver,
        variables,
        num_positions,
        np.random.default_rng(seed),
    )
    count, past = len(program.steps), max(goals, default=-1) + 1
    owners = _owners(program, variables)
    bar = ProgressBar("solving", len(goals) * len(positions), verbose=verbose)
    # The end, run as far as the networks on the way are the same: there it gives what is wanted.
    front, reached = network_at(1.0, BYTES // 3), 0
    points = []
    for t in positions:
        share = _shares(t, count, stagger)
        point, state = _mixed(base, owners, share), _state(program, base, t, x)
        while reached < past and _agrees(front, reached, point, state):
            front.run(reached)
            reached += 1
        front.settle(reached)
        network = front.at(point, state)
        bar.add(sum(position < reached for position in goals))
        for position in range(reached, past):
            if position in goals:
                network.settle(position)
                goal, own = goals[position], share[program.step_of(position)]
                call = program.calls[position]
                solve = functools.partial(solver, call, network, goal, own)
                put(goal.layer, network, solutions, solve)
                bar.add(1)
            network.run(position)
        points.append([np.array(array) for array in network.point])
    if solver.fits:
        named = {program.calls[number].path: goal.layer for number, goal in goals.items()}
        warn_of_few_rows(named, len(x))
    solved = {number for goal in goals.values() for number in goal.layer.numbers}
    windows = [_window(k, count, stagger) for k in owners]
    return SolvedPoints(points, sorted(solved), windows)


def _goals(
    ends: Sequence[Network],
    solver: Solver,
    variables: dict[int, int],
    num_positions: int,
    rng: np.random.Generator,
) -> dict[int, Goal]:
    """What layers are to give that are solved for, by the numbers of their calls."""
    program = ends[0].program
    # Slots that are the same in both.
    common, goals, left = {program.input}, dict[int, Goal](), ROWS_BYTES
    for position, call in enumerate(program.calls):
        same = common.issuperset(call.inputs)
        if position in program.linear:
            layer = LinearLayer(call.op, variables, call.shape, num_positions, rng)
            is_output = position in program.heads and not solver.solves_outputs
            if not is_output and (solver.solves_first or not same):
                beside = program.beside(position) if solver.fits else ()
                rows = []
                for network in ends:
                    network.settle(position)
                    rows.append(KeptBlocks(network.rows(layer, call, beside), left))
                    left = max(left - rows[-1].nbytes, 0)
                goals[position] = Goal(layer, rows, beside)
            if call.outputs[0] == program.output:
                break
        elif same and same_weights(call, ends):
            common |= set(call.outputs)
        for network in ends:
            network.run(position)
    return goals


def num_linear(model: keras.Model) -> int:
    """Number of layers of a model that can be solved for; heads, see `Program`, count as one."""
    return len(Program(model).steps)


def _window(k: int, count: int, stagger: float) -> tuple[float, float]:
    """Between which positions step `k` of `count` is made."""
    whole = 1 + stagger * (count - 1)
    return stagger * k / whole, (stagger * k + 1) / whole


def _shares(t: float, count: int, stagger: float) -> list[float]:
    """How far each step is at `t`."""
    windows = (_window(k, count, stagger) for k in range(count))
    return [min(max((t - begin) / (end - begin), 0.0), 1.0) for begin, end in windows]


def _owners(program: Program, variables: dict[int, int]) -> list[int]:
    """For each variable, the number of the step that it moves with."""
    owners = [0] * len(variables)
    for number, call in enumerate(program.calls):
        for variable in call.weights:
            if id(variable) in variables:
                owners[variables[id(variable)]] = program.step_of(number)
    return owners


def _state(program: Program, base: Path, t: float, x: NDArray) -> list[NDArray]:
    """The state to begin with: that of the base, with the statistics of shared batch norm."""
    state = base.state(t)
    if any(has_batch_norm(program.calls[n].op) for n in program.shared):
        state = estimate_batch_norm(base.space, base(t), x, state=state)
    return state


def _agrees(network: Network, position: int, point: Sequence[Any], state: Sequence[Any]) -> bool:
    """Whether a call has these weights, and these statistics or such as are measured anew."""
    space = network.space
    pairs = [(space.variables, network.point, point)]
    if not network.measures(position):
        pairs.append((space.state_variables, network.state, state))
    own = {id(v) for v in network.program.calls[position].weights}
    return all(
        np.array_equal(np.asarray(mine[i]), np.asarray(theirs[i]))
        for variables, mine, theirs in pairs
        for i, v in enumerate(variables)
        if id(v) in own
    )


def _mixed(base: Path, owners: Sequence[int], shares: Sequence[float]) -> list[NDArray]:
    """A point at which each layer is as far along a path as its share says."""
    points = {share: base(share) for share in set(shares)}
    return [points[shares[k]][i] for i, k in enumerate(owners)]
