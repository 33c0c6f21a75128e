"""The strongest path without training that this library knows."""

from typing import Any

import keras

from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.feature_interpolation import FeatureInterpolation
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace


class Best(Connector):
    """Units lined up, features interpolated, units put back: the best that measured, no training.

    `OptimalTransport(match="auto", along=FeatureInterpolation())`: the units of the end are
    reordered to be near those of the start, by weights, activations or both, whichever is better;
    between the two all layers are solved for by least squares; then the units go back to their own
    order through freed slots. Labels are used to choose only.

    Args:
        num_knots: Positions at which is solved, both ends included.
        num_positions: See `FeatureInterpolation`.
        num_examples: See `FeatureInterpolation`.

    Raises:
        ValueError: If a number is out of range.
    """

    name = "best"
    needs_data = True

    def __init__(
        self, *, num_knots: int = 5, num_positions: int = 16, num_examples: int | None = None
    ):
        self.num_knots = num_knots
        self.num_positions = num_positions
        self.num_examples = num_examples
        self._transport()

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> Path:
        """See `Connector`."""
        return self._transport().connect(space, start, end, data, job)

    def _transport(self) -> OptimalTransport:
        return OptimalTransport(match="auto", along=FeatureInterpolation(**vars(self)))
