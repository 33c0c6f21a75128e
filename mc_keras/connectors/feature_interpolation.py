"""Paths on which the features of all layers go from one network's to the other's."""

from mc_keras.adjustment import LeastSquares, Solver
from mc_keras.connectors.base import Connector
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.options import not_negative
from mc_keras.connectors.solved_at_knots import SolvedAtKnots


class FeatureInterpolation(SolvedAtKnots):
    """All layers at once; at some positions each is solved for, one after the other, going forward.

    A layer is given the features of the network as it is so far, and is fitted to what its
    activation is given in the two ends, interpolated: `(1 - t) * start + t * end`. Each layer thus
    makes good what the layers before it got wrong. Where only batch norm reads its outputs, what
    that gives is fitted, and its scale and offset are solved for too. Where they are added to
    others before anything else reads them, as on a residual stream, the sum is what is fitted. No
    labels are used. Between the positions the path is straight. It is at its best
    where the units of the ends are lined up first:
    `OptimalTransport(along=FeatureInterpolation())`, which is what the name `best` begins with.

    Args:
        base: `Linear()` or `Arc()`: weights of layers that are not solved for, such as the first
            if no batch norm is behind it, and those that solutions are pulled to.
        stagger: How far the layers go one after the other: 0, all at once; 1, each when the one
            before it is done. Of `n` layers whose weights differ each takes
            `1 / (1 + stagger * (n - 1))` of the way; all that lead to the outputs count as one.
            More is better for narrow networks and for deep ones, and takes more knots. With a
            straight base only.
        num_knots: Number of positions at which the weights are solved for, both ends included.
        ridge: Strength of the pull towards the weights of the base, relative to the mean squared
            feature.
        num_positions: Most output positions of a convolution that are used of each example, drawn
            at random.
        num_examples: Number of examples, drawn at random; if not given, as many as 4 GiB hold the
            activations of, with a warning if these are not all. More take no more memory, but
            longer: activations go to temporary files.

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
        self.stagger = not_negative(self, "stagger", stagger)
        if stagger > 1 or (stagger and not isinstance(self.base, Linear)):
            raise ValueError(
                "FeatureInterpolation takes a stagger from 0 to 1, and along Linear() only where "
                f"it is not 0, received stagger={stagger} along {type(self.base).__name__}."
            )
        self.ridge = not_negative(self, "ridge", ridge)

    def solver(self) -> Solver:
        """See the base class."""
        return LeastSquares(self.ridge)
