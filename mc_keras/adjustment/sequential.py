"""All layers at once: at each position the weights are solved layer after layer, going forward.

The features of each layer are those of the network so far, so that what the layers before it got
wrong is made good as far as it can be. The target is what the layer's activation is given in the
two ends, interpolated; where its outputs are added to others, as on a residual stream, the sum is.
"""

import dataclasses
import functools
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import ROWS_BYTES, KeptBlocks, room_for_files
from mc_keras.adjustment.linear_layers import LinearLayer, warn_of_few_rows
from mc_keras.adjustment.networks import (
    BATCH,
    BYTES,
    Network,
    examples_of,
    num_affordable,
    same_weights,
)
from mc_keras.adjustment.program import Program
from mc_keras.adjustment.solutions import Solutions
from mc_keras.adjustment.solvers import Solver, put
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
        positions: Where to solve.
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
    at_once = num_affordable(program, 1) // max(len(x), BATCH) - 2
    if at_once < 1:  # in files then, see `Network`
        size = 4 * program.most_held() * len(x)
        at_once = max(1, room_for_files() // size - 2)
    linear, count = program.linear, len(program.steps)
    owners = _owners(program, variables)
    bar = ProgressBar("solving", len(linear) * len(positions), verbose=verbose)
    points, solved, layers = [], set[int](), dict[str, LinearLayer]()
    for first in range(0, len(positions), at_once):
        ts = positions[first : first + at_once]
        shares = [_shares(t, count, stagger) for t in ts]
        a = Network(program, space, base(0.0), _state(program, base, 0.0, x), {program.input: x})
        a.limit = BYTES // (2 + len(ts))
        b = a.at(base(1.0), _state(program, base, 1.0, x))
        states = [_state(program, base, t, x) for t in ts]
        # Where all layers so far are those of the end, a network is the end so far: none of its own
        # is run.
        between: list[Network | None] = [None] * len(ts)
        rng = np.random.default_rng(seed)
        # Slots that are the same in all networks.
        common = {program.input}
        for position, call in enumerate(program.calls):
            for k, (share, state) in enumerate(zip(shares, states, strict=True)):
                is_end = share[program.step_of(position)] == 1 and _same_state(b, position, state)
                if between[k] is None and not is_end:
                    between[k] = b.at(_mixed(base, owners, share), state)
            everyone = [a, b, *(network for network in between if network)]
            same = common.issuperset(call.inputs)
            if position in linear:
                layer = LinearLayer(call.op, variables, call.shape, num_positions, rng)
                is_last = call.outputs[0] == program.output
                solves = solver.solves_first or not same
                solves &= solver.solves_outputs or position not in program.heads
                for network in everyone if solves else ():
                    network.settle(position)
                beside = program.beside(position) if solver.fits else ()
                ends = [
                    KeptBlocks(network.rows(layer, call, beside), ROWS_BYTES // 2)
                    for network in ((a, b) if solves else ())
                ]
                for share, moving in zip(shares, between, strict=True):
                    if solves and moving:
                        own = share[program.step_of(position)]
                        solve = functools.partial(solver, layer, call, moving, ends, beside, own)
                        put(layer, moving, solutions, solve)
                    bar.add(1)
                if solves:
                    layers[call.path] = layer
                    solved |= {layer.kernel} | ({layer.bias} if layer.bias is not None else set())
                if is_last:
                    break
            elif same and same_weights(call, everyone):
                common |= set(call.outputs)
            for network in everyone:
                network.run(position)
        points += [[np.array(array) for array in network.point] for network in everyone[2:]]
    if solver.fits:
        warn_of_few_rows(layers, len(x))
    windows = [_window(k, count, stagger) for k in owners]
    return SolvedPoints(points, sorted(solved), windows)


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


def _same_state(network: Network, position: int, state: Sequence[NDArray]) -> bool:
    """Whether a network has, for a call that comes next, what a state has or measures it anew."""
    call = network.program.calls[position]
    if network.measures(position):
        return True
    own = {id(v) for v in call.weights}
    numbers = [i for i, v in enumerate(network.space.state_variables) if id(v) in own]
    return all(np.array_equal(np.asarray(network.state[i]), np.asarray(state[i])) for i in numbers)


def _mixed(base: Path, owners: Sequence[int], shares: Sequence[float]) -> list[NDArray]:
    """A point at which each layer is as far along a path as its share says."""
    points = {share: base(share) for share in set(shares)}
    return [points[shares[k]][i] for i, k in enumerate(owners)]
