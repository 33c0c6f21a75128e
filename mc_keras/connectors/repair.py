"""REPAIR: mean and deviation of every unit restored along a path."""

from mc_keras.adjustment import Rescaling, Solver
from mc_keras.connectors.base import Connector
from mc_keras.connectors.solved_at_knots import SolvedAtKnots


class Repair(SolvedAtKnots):
    """Each unit's activations get the mean and deviation of the two ends, interpolated: REPAIR.

    On the straight line between two networks the activations of the hidden units vary too little.
    At some positions all linear layers but the output layer are rescaled, one after the other,
    going forward; between them the path is straight. Useful where the units of the ends are lined
    up first: `OptimalTransport(along=Repair())`. Layers without a bias get the deviation only.

    Args:
        base: `Linear()` or `Arc()`, what is rescaled.
        num_knots: Number of positions at which units are rescaled, both ends included.
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
