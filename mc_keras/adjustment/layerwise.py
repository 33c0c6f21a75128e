"""Layer after layer: the weights of the start give way to those of the end from the input on."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import ROWS_BYTES, KeptBlocks, Rows
from mc_keras.adjustment.linear_layers import check_memory, warn_of_few_rows
from mc_keras.adjustment.networks import BYTES, Network, examples_of, mixture
from mc_keras.adjustment.plan import Leg, Stepwise, plan_legs
from mc_keras.adjustment.program import Program
from mc_keras.adjustment.segments import Ends, reading_means, segment_between, unit_means
from mc_keras.adjustment.solutions import Solutions
from mc_keras.adjustment.solvers import equations_of, put
from mc_keras.adjustment.steps import Step, steps_of
from mc_keras.paths import AffinePath, Path, PiecewisePath
from mc_keras.progress import ProgressBar
from mc_keras.weight_space import WeightSpace


def layerwise_path(
    space: WeightSpace,
    ends: Ends,
    states: Ends,
    x: NDArray,
    how: Stepwise,
    *,
    solutions: Solutions | None = None,
    verbose: int = 0,
) -> Path:
    """The path on which one linear layer after the other moves, and those that read it make good.

    In the leg of a layer everything before it is the end's, everything after it is the start's, or
    adjusted: linear layers that read what moves are solved for what their activations were given
    at the start. In a chain that is the next layer; behind a residual connection it is every layer
    that reads the stream until the next linear layer on it. Other layers with weights, such as
    batch norm, move with the linear layer before them. Heads, the linear layers that no other comes
    behind, go over to the end in one leg, all at once: the outputs are never those of the start in
    a part and those of the end in another.

    Args:
        space: Weight space of the architecture.
        ends: The points at 0 and 1.
        states: Their states.
        x: Inputs of shape `(N, ...)`.
        how: The options.
        solutions: What an earlier run has solved.
        verbose: 1 for a progress bar.

    Raises:
        ValueError: If the graph cannot be followed, or a feature is not finite.

    Reference:
        Anokhin and Yarotsky, 2020, sections 3.5 and 4.1.
    """
    walk = _Walk(space, ends, states, x, how, solutions or Solutions())
    bar = ProgressBar("adjusting", walk.num_units, verbose=verbose)
    segments = [segment for leg in walk.legs for segment in walk.segments(leg, bar)]
    if len(segments) <= 1:
        return segments[0] if segments else segment_between(space, ends, states)
    return PiecewisePath(segments, np.linspace(0, 1, len(segments) + 1).tolist())


class _Walk:
    """The network on its way from the start to the end."""

    def __init__(
        self,
        space: WeightSpace,
        ends: Ends,
        states: Ends,
        x: NDArray,
        how: Stepwise,
        solutions: Solutions,
    ):
        self.space, self.how, self.solutions = space, how, solutions
        self.program = Program(space.model, x.shape[1:])
        self.steps = steps_of(self.program, space)
        self.x = examples_of(self.program, x, how.num_examples, how.seed)
        self.point, self.end = list(ends[0]), list(ends[1])
        self.state, self.end_state = list(states[0]), list(states[1])
        self.layers = self.program.linear_layers(space, how.num_positions, how.seed)
        moving = self._moving()
        solved = {n for k in moving for n in self.steps[k].consumers}
        named = {self.program.calls[n].path: self.layers[n] for n in solved}
        check_memory(named, len(self.x))
        warn_of_few_rows(named, len(self.x))
        self.legs = plan_legs(self.steps, moving, self.program.heads, how)
        wanted = {n for leg in self.legs if leg.times for n in leg.step.consumers}
        self.goals = self._targets(ends[0], states[0], wanted)
        turned = {n for leg in self.legs if leg.fits_end for n in leg.step.consumers}
        self.end_goals = self._targets(ends[1], states[1], turned)
        # The end's network, run up to the layer that moves.
        self.front = self._network(ends[1], states[1])
        self.reached = 0

    def _moving(self) -> list[int]:
        """The steps in which weights differ: in both ends, or solved for in a step before."""
        adjusted, moving = set[int](), []
        for k, step in enumerate(self.steps):
            pairs = [(self.point[v], self.end[v]) for v in step.moved]
            pairs += [(self.state[v], self.end_state[v]) for v in step.states]
            if not _same(pairs) or adjusted & set(step.linear):
                moving.append(k)
                adjusted |= set(step.consumers)
        return moving

    @property
    def num_units(self) -> int:
        """Number of solutions, for a progress bar."""
        return sum(leg.num_solutions for leg in self.legs)

    def _targets(
        self, point: Sequence[NDArray], state: Sequence[NDArray], wanted: set[int]
    ) -> dict[int, Rows]:
        """What the activations of linear layers are given by a network, in rows, block by block."""
        network, found = self._network(point, state), dict[int, Rows]()
        for number in range(max(wanted, default=-1) + 1):
            if number in wanted:
                network.settle(number)
                rows = network.rows(self.layers[number], self.program.calls[number])
                found[number] = KeptBlocks(rows, ROWS_BYTES // (len(wanted) + 1))
            network.run(number)
        return found

    def _network(self, point: Sequence[NDArray], state: Sequence[NDArray]) -> Network:
        values = {self.program.input: self.x}
        return Network(self.program, self.space, point, state, values, BYTES // 3)

    def segments(self, leg: Leg, bar: ProgressBar) -> list[AffinePath]:
        """The segments of a leg; none where nothing is left to move."""
        step, start, state = leg.step, self.point, self.state
        points, measured = self._solutions(leg, bar)
        solved = sorted({v for n in step.consumers for v in self._own(n)}) if points else []
        if points and leg.turns:
            solved += self._take_over(leg, points, solved)
        over = [step, self.steps[-1]] if leg.turns else [step]
        self.point, self.state = self._after(over, start, measured)
        for v, array in (points[-1] if points else {}).items():
            self.point[v] = array
        moves = [
            v
            for s in over
            for v in s.moved
            if v not in solved and not np.array_equal(self.point[v], start[v])
        ]
        if points and self.how.along is not None:
            moves, solved = [], [*moves, *solved]
        if not moves and not solved and _same(zip(state, self.state, strict=True)):
            return []
        if not self.how.refit:
            ends, states = (start, self.point), (state, self.state)
            return [self._straight(step, ends, states, [*moves, *solved])]
        segments = []
        if leg.times and leg.times[0] == 0.0:
            # To the first solution, before the layer itself moves.
            first = [points[0].get(i, array) for i, array in enumerate(start)]
            segments.append(
                segment_between(
                    self.space, (start, first), (state, state), solved=solved, points=points[:1]
                )
            )
            start, points = first, points[1:]
        segments.append(
            segment_between(
                self.space,
                (start, self.point),
                (state, self.state),
                moves=moves,
                means=self._means(step, (start, self.point), moves),
                solved=solved,
                points=points,
            )
        )
        return segments

    def _take_over(
        self, leg: Leg, points: Sequence[dict[int, NDArray]], solved: Sequence[int]
    ) -> list[int]:
        """Let the points end at the heads of the end; which variables that adds to them.

        Heads that read nothing that moves, and what lies behind heads, go there on a line.
        """
        heads = self.steps[-1].moved
        others = [v for v in heads if v not in solved]
        for time, found in zip(leg.times, points, strict=True):
            share = leg.share(time)
            found |= {v: (1 - share) * self.point[v] + share * self.end[v] for v in others}
        points[-1].update({v: self.end[v] for v in heads})
        return others

    def _after(
        self, over: Sequence[Step], point: Sequence[NDArray], state: Sequence[NDArray]
    ) -> tuple[list[NDArray], list[NDArray]]:
        """Point and state when some steps have gone over to the end."""
        point, state = list(point), list(state)
        for step in over:
            for number in step.moved:
                point[number] = self.end[number]
            for number in step.states:
                state[number] = self.end_state[number]
        return point, state

    def _straight(self, step: Step, ends: Ends, states: Ends, moves: Sequence[int]) -> AffinePath:
        """The leg on which nothing is solved for."""
        means = self._means(step, ends, moves)
        return segment_between(self.space, ends, states, moves=moves, means=means)

    def _means(self, step: Step, ends: Ends, moves: Sequence[int]) -> dict[int, NDArray]:
        """Means of the units of a step, where they go along arcs; outputs go along lines."""
        if self.how.arc is None or not moves or step.linear == self.program.heads:
            return {}
        (linear,) = step.linear
        means = unit_means(ends, [i for i in self._own(linear) if i in moves])
        if not self.how.refit:
            kernel = self.layers[linear].kernel
            means |= reading_means(self.space.model, ends, kernel, moves)
        if self.how.arc == "none":
            return {i: np.zeros_like(mean) for i, mean in means.items()}
        return means

    def _own(self, number: int) -> list[int]:
        layer = self.layers[number]
        return [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]

    def _solutions(
        self, leg: Leg, bar: ProgressBar
    ) -> tuple[list[dict[int, NDArray]], list[NDArray]]:
        """The weights solved for at some times of a leg, and the state at its end."""
        step, calls = leg.step, self.program.calls
        if not leg.times:
            return [], self.state
        for number in range(self.reached, step.begin):
            self.front.run(number)
        self.reached = step.begin
        self.front.settle(step.begin)
        end, end_state = self._after([step], self.point, self.state)
        ends, states = (self.point, end), (self.state, end_state)
        straight = self._straight(step, ends, states, step.moved)
        (linear,) = step.linear
        call, layer = calls[linear], self.layers[linear]
        products = None
        count = straight.coefficient_functions[layer.kernel].num_control_points
        held = 4 * (count + 1) * self.program.size(call.outputs) * len(self.x)
        refits = self.how.refit and self.how.along is None
        if step.begin == linear and refits and held <= self.front.limit:
            arrays = straight.control_points
            products = [
                self.front.linear(layer, call, arrays[j][layer.kernel]) for j in range(count)
            ]
        points = []
        for time in leg.times:
            point, found = straight(time), dict[int, NDArray]()
            if self.how.along is not None:
                there = self.how.along(time)
                found = {v: there[v] for v in step.moved}
                point = [found.get(i, array) for i, array in enumerate(point)]
            network = self.front.at(point, straight.state(time))
            for number in range(step.begin, max(step.consumers) + 1):
                call = calls[number]
                if number == linear and products is not None:
                    coefficients = straight.coefficients(time)[layer.kernel]
                    bias = None if layer.bias is None else network.point[layer.bias]
                    network.pass_with(call, _blocks_of(products, coefficients, layer.spread(bias)))
                    continue
                if number in step.consumers and not leg.is_over(time):
                    if number != max(step.consumers):
                        network.settle(number)
                    solve = functools.partial(self._solve, leg, number, network, time)
                    put(self.layers[number], network, self.solutions, solve)
                    found |= {v: np.array(network.point[v]) for v in self._own(number)}
                    bar.add(1)
                if number != max(step.consumers):
                    network.run(number)
            points.append(found)
        # Of the layers before, which are the end's, the statistics stay the end's own.
        before = self.front.measured
        return points, [
            self.state[number] if number in before else np.array(array)
            for number, array in enumerate(network.state)
        ]

    def _solve(self, leg: Leg, number: int, network: Network, time: float) -> NDArray[np.float64]:
        """Kernel and bias of one layer that reads what moves."""
        call, layer = self.program.calls[number], self.layers[number]
        share = leg.share(time)
        prior = layer.matrix_at(self.point)
        if self.how.pseudo_inverse:
            prior = np.zeros_like(prior)
        elif leg.fits_end:
            prior = (1 - time) * prior + time * layer.matrix_at(self.end)
        ridge = 0.0 if self.how.pseudo_inverse else self.how.ridge
        equations = equations_of(prior, ridge, call, layer.num_rows(len(self.x)))
        for n, (features, _) in enumerate(network.features(layer, call)):
            goal: Any = self.goals[number][n]
            if share:
                goal = (1 - share) * goal + share * self.end_goals[number][n]
            equations.add(features, goal)
        return equations.solve()


def _same(pairs: Iterable[tuple[NDArray, NDArray]]) -> bool:
    return all(np.array_equal(first, second) for first, second in pairs)


def _blocks_of(
    products: Sequence[NDArray], coefficients: Sequence[float], bias: Any
) -> Callable[[slice], NDArray]:
    """See `mixture`: a function that makes a block of it."""

    def block(part: slice) -> NDArray:
        return mixture([product[part] for product in products], coefficients, bias)

    return block
