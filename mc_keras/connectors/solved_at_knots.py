"""What methods share that solve for weights at some positions of a base path."""

import abc
from typing import Any

import keras
import numpy as np

from mc_keras.adjustment import Solver, is_adjustable, solve_along
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.options import whole, whole_or_all
from mc_keras.paths import AffinePath, Coefficients, PolygonalChain, Ramp
from mc_keras.weight_space import WeightSpace


class SolvedAtKnots(Connector):
    """A base path, and at some positions of it weights solved for; straight lines between them."""

    needs_data = True
    added: str  # to the name of the base
    stagger = 0.0

    def __init__(
        self,
        base: Connector | None,
        num_knots: int,
        num_positions: int,
        num_examples: int | None,
    ):
        name = type(self).__name__
        self.base = Linear() if base is None else base
        if not isinstance(self.base, Linear | Arc):
            raise TypeError(
                f"{name} starts from Linear() or Arc(), received {type(base).__name__}; to line "
                f"the units up first, use OptimalTransport(along={name}())."
            )
        self.num_knots = whole(self, "num_knots", num_knots, 3)  # the ends are two
        self.num_positions = whole(self, "num_positions", num_positions)
        self.num_examples = whole_or_all(self, "num_examples", num_examples)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the base, and what is added to it."""
        return f"{self.base.name}+{self.added}"

    @abc.abstractmethod
    def solver(self) -> Solver:
        """What solves for a layer."""

    def applies_to(self, network: keras.Model) -> bool:
        """See `Connector`."""
        return is_adjustable(network)

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> AffinePath:
        """See `Connector`."""
        base = self.base.connect(space, start, end, data, job)
        if not isinstance(base, AffinePath):
            raise TypeError(f"The base must give an affine path, received {type(base).__name__}.")
        positions = np.linspace(0, 1, self.num_knots)[1:-1].tolist()
        solution = solve_along(
            base,
            positions,
            data[0],
            self.solver(),
            stagger=self.stagger,
            num_examples=self.num_examples,
            num_positions=self.num_positions,
            seed=job.seed,
            solutions=job.solutions,
            verbose=job.verbose,
        )
        a, b = base(0.0), base(1.0)
        coefficients: list[Coefficients] = list(base.coefficient_functions)
        if self.stagger:
            ramps = {window: Ramp(*window) for window in solution.windows}
            coefficients = [ramps[window] for window in solution.windows]
        control = [list(point) for point in base.control_points]
        control += [[None] * len(a) for _ in range(self.num_knots - len(control))]
        chain = PolygonalChain(self.num_knots)
        for i in solution.solved:
            coefficients[i] = chain
            for point, knot in zip(control, [a, *solution.points, b], strict=False):
                # One array, in memory and in files, for the knots at which a layer is done.
                point[i] = b[i] if np.array_equal(knot[i], b[i]) else knot[i]
        return AffinePath(space, [*control, b], coefficients, states=base.states)
