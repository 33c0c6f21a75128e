"""Paths on which the features of all layers go from one network's to the other's."""

import abc
from typing import Any

import keras
import numpy as np

from mc_keras.adjustment import LeastSquares, Rescaling, Solver, solve_along
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.linear import Linear
from mc_keras.paths import AffinePath, Coefficients, PolygonalChain, Ramp
from mc_keras.weight_space import WeightSpace


class _SolvedAtKnots(Connector):
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
        if num_knots < 3 or num_positions < 1 or (num_examples is not None and num_examples < 1):
            raise ValueError(
                f"{name} needs at least three knots (the ends are two), one position and one "
                f"example, received num_knots={num_knots}, num_positions={num_positions}, "
                f"num_examples={num_examples}."
            )
        self.num_knots = num_knots
        self.num_positions = num_positions
        self.num_examples = num_examples

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the base, and what is added to it."""
        return f"{self.base.name}+{self.added}"

    @abc.abstractmethod
    def solver(self) -> Solver:
        """What solves for a layer."""

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
            data[0][: self.num_examples],
            self.solver(),
            stagger=self.stagger,
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
                point[i] = knot[i]
        return AffinePath(space, [*control, b], coefficients, states=base.states)


class FeatureInterpolation(_SolvedAtKnots):
    """All layers at once; at some positions each is solved for, one after the other, going forward.

    A layer is given the features of the network as it is so far, and is fitted to what its
    activation is given in the two ends, interpolated: `(1 - t) * start + t * end`. Each layer thus
    makes good what the layers before it got wrong. No labels are used. Between the positions the
    path is straight. It is at its best where the units of the ends are lined up first:
    `OptimalTransport(along=FeatureInterpolation())`, which is what the name `best` begins with.

    Args:
        base: `Linear()` or `Arc()`: weights of layers that are not solved for, such as the first,
            and those that solutions are pulled to.
        stagger: How far the layers go one after the other: 0, all at once, which is best for most
            networks; 1, each when the one before it is done, which is better for narrow networks of
            few layers, and takes more knots. With a straight base only.
        num_knots: Positions at which is solved, both ends included.
        ridge: Strength of the pull towards the weights of the base, relative to the mean squared
            feature.
        num_positions: Most output positions of a convolution that are used of each example, drawn
            at random.
        num_examples: Number of examples, from the first on; if not given, as many as fit into 4
            GiB of activations.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If a number is out of range.

    Reference:
        Least squares on features, to merge networks: Jin et al., RegMean, 2023,
        https://arxiv.org/abs/2212.09849; Nasery et al., PLeaS, 2025,
        https://arxiv.org/abs/2407.02447
    """

    added = "features"

    def __init__(
        self,
        base: Connector | None = None,
        *,
        stagger: float = 0.0,
        num_knots: int = 5,
        ridge: float = 1e-4,
        num_positions: int = 16,
        num_examples: int | None = None,
    ):
        super().__init__(base, num_knots, num_positions, num_examples)
        if ridge < 0:
            raise ValueError(f"FeatureInterpolation needs a ridge of 0 or more, received {ridge}.")
        if not 0 <= stagger <= 1 or (stagger and not isinstance(self.base, Linear)):
            raise ValueError(
                "FeatureInterpolation takes a stagger from 0 to 1, and along Linear() only where "
                f"it is not 0, received stagger={stagger} along {type(self.base).__name__}."
            )
        self.stagger = stagger
        self.ridge = ridge

    def solver(self) -> Solver:
        """See the base class."""
        return LeastSquares(self.ridge)


class Repair(_SolvedAtKnots):
    """Each unit's activations get the mean and deviation of the two ends, interpolated: REPAIR.

    On the straight line between two networks the activations of the hidden units vary too little.
    At some positions all linear layers but the output layer are rescaled, one after the other,
    going forward; between them the path is straight. Useful where the units of the ends are lined
    up first: `OptimalTransport(along=Repair())`. Layers without a bias get the deviation only.

    Args:
        base: `Linear()` or `Arc()`, what is rescaled.
        num_knots: Positions at which is rescaled, both ends included.
        num_positions: See `FeatureInterpolation`.
        num_examples: See `FeatureInterpolation`.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If a number is out of range.

    Reference:
        Jordan et al., REPAIR, 2023, section 3, https://arxiv.org/abs/2211.08403
    """

    added = "repair"

    def __init__(
        self,
        base: Connector | None = None,
        *,
        num_knots: int = 9,
        num_positions: int = 16,
        num_examples: int | None = 5000,
    ):
        super().__init__(base, num_knots, num_positions, num_examples)

    def solver(self) -> Solver:
        """See the base class."""
        return Rescaling()
