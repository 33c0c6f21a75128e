"""All layers at once: at each position the weights are solved layer after layer, going forward.

The features of each layer are those of the network so far, so that what the layers before it got
wrong is made good as far as it can be. The target is what the layer's activation is given in the
two ends, interpolated.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.linear_layers import LinearLayer
from mc_keras.adjustment.networks import (
    BATCH,
    Network,
    blocks,
    num_affordable,
    run_all,
    same_inputs,
)
from mc_keras.adjustment.normal_equations import NormalEquations
from mc_keras.adjustment.program import Call, Program
from mc_keras.paths import Path
from mc_keras.progress import ProgressBar

# What a solver is given: the layer, its call, the network, and the outputs of the layer before its
# activation at the start and at the end, and t. It changes the network's weights.
Solver = Callable[[LinearLayer, Call, Network, NDArray, NDArray, float], None]


@dataclasses.dataclass(frozen=True)
class Sequential:
    """The points solved.

    Attributes:
        points: One point for each position.
        solved: Numbers of the variables that were solved for.
    """

    points: list[list[NDArray]]
    solved: list[int]


def solve_along(
    base: Path,
    positions: Sequence[float],
    x: NDArray,
    solver: Solver,
    *,
    num_positions: int = 16,
    last_too: bool = True,
    seed: int = 0,
    verbose: int = 0,
) -> Sequential:
    """Solve the linear layers of a network at some positions between two ends.

    A layer that reads the same in all networks, as the first one does, keeps the weights of the
    base: for a straight line they are the solution. Batch-norm layers measure their statistics as
    they are reached.

    Args:
        base: Path between the ends that gives the weights that are not solved for, and those to
            start from.
        positions: Where to solve.
        x: Inputs of shape `(N, ...)`; as many of the first as fit into memory are used.
        solver: How.
        num_positions: Most output positions of a convolution that are used of each example.
        last_too: Whether the layer that gives the outputs is solved for.
        seed: Of the choice of positions.
        verbose: 1 for a progress bar.

    Raises:
        ValueError: If the graph cannot be followed, or a feature is not finite.
    """
    space = base.space
    program = Program(space.model)
    variables = {id(v): i for i, v in enumerate(space.variables)}
    x = x[: num_affordable(program, 3)]
    at_once = max(1, num_affordable(program, 1) // max(len(x), BATCH) - 2)
    num_linear = sum(call.is_linear for call in program.calls)
    bar = ProgressBar("solving", num_linear * len(positions), verbose=verbose)
    points, solved = [], set[int]()
    for first in range(0, len(positions), at_once):
        ts = positions[first : first + at_once]
        values = {program.input: x}
        a, b = (Network(space, base(t), base.state(t), values) for t in (0.0, 1.0))
        between = [Network(space, base(t), base.state(t), values) for t in ts]
        rng = np.random.default_rng(seed)
        everyone = [a, b, *between]
        for position, call in enumerate(program.calls):
            if not call.is_linear:
                run_all(call, everyone, between)
            else:
                layer = LinearLayer(call.op, variables, call.shape, num_positions, rng)
                is_last = call.outputs[0] == program.output
                solves = not same_inputs(call, everyone) and (last_too or not is_last)
                start, end = (network.own_linear(layer, call) for network in (a, b))
                for t, network in zip(ts, between, strict=True):
                    if solves:
                        solver(layer, call, network, start, end, t)
                    if not is_last:
                        network.activate(call, network.own_linear(layer, call))
                    bar.add(1)
                if solves:
                    solved |= {layer.kernel} | ({layer.bias} if layer.bias is not None else set())
                if is_last:
                    break
                a.activate(call, start)
                b.activate(call, end)
            for network in everyone:
                network.forget(program, position)
        points += [[np.array(array) for array in network.point] for network in between]
    return Sequential(points, sorted(solved))


def least_squares(ridge: float) -> Solver:
    """Weights that give the interpolated outputs best, near those that the network has.

    Args:
        ridge: See `NormalEquations.solve`.
    """

    def solve(
        layer: LinearLayer, call: Call, network: Network, start: NDArray, end: NDArray, t: float
    ) -> None:
        x = network.values[call.inputs[0]]
        equations = NormalEquations(layer.num_features, layer.num_targets)
        for part in blocks(len(x)):
            goal = (1 - t) * layer.targets(start[part], part.start)
            goal += t * layer.targets(end[part], part.start)
            equations.add(layer.features(x[part], part.start), goal)
        put_solution(layer, call, network, equations, ridge)

    return solve


def put_solution(
    layer: LinearLayer,
    call: Call,
    network: Network,
    equations: NormalEquations,
    ridge: float,
    prior: NDArray | None = None,
) -> None:
    """Give a network the solution of a layer's equations; the prior is what it has, if not given.

    Raises:
        ValueError: If a feature or target is not finite.
    """
    if not equations.is_finite():
        raise ValueError(
            f"The features of the layer '{call.path}' are not finite: its inputs or weights hold "
            "NaN, or numbers too large to be squared; look at the data, or scale them."
        )
    if prior is None:
        bias = None if layer.bias is None else network.point[layer.bias]
        prior = layer.matrix(network.point[layer.kernel], bias)
    kernel, bias = layer.split(equations.solve(prior, ridge))
    network.set(layer.kernel, kernel)
    if layer.bias is not None:
        network.set(layer.bias, bias)


def rescaling() -> Solver:
    """Each unit's outputs get the mean and the deviation of the two ends, interpolated: REPAIR.

    Units that never change are left alone; without a bias only the deviation is set.

    Reference:
        Jordan et al., REPAIR, 2023, section 3, https://arxiv.org/abs/2211.08403
    """

    def solve(
        layer: LinearLayer, call: Call, network: Network, start: NDArray, end: NDArray, t: float
    ) -> None:
        now = network.own_linear(layer, call)
        (mean, deviation), *ends = (_moments(layer, z) for z in (now, start, end))
        wanted_mean, wanted = (
            (1 - t) * first + t * second for first, second in zip(*ends, strict=True)
        )
        alive = deviation > 1e-6 * np.max(deviation, initial=0.0)
        factor = np.where(alive, wanted / np.where(alive, deviation, 1.0), 1.0)
        network.set(layer.kernel, np.asarray(network.point[layer.kernel]) * factor)
        if layer.bias is not None:
            bias = np.asarray(network.point[layer.bias], "float64")
            network.set(layer.bias, wanted_mean + factor * (bias - mean))

    return solve


def _moments(layer: LinearLayer, outputs: NDArray) -> tuple[NDArray, NDArray]:
    rows = [layer.targets(outputs[part], part.start) for part in blocks(len(outputs))]
    count = sum(len(r) for r in rows)
    mean = sum(r.sum(0, dtype="float64") for r in rows) / count
    squares = sum(np.sum(np.square(r - mean), 0, dtype="float64") for r in rows)
    return np.asarray(mean), np.sqrt(squares / count)
