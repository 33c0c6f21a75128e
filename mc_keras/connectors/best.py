"""The strongest path without training that this library knows."""

from typing import Any

import keras

from mc_keras.adjustment import is_adjustable, num_linear
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.feature_interpolation import FeatureInterpolation
from mc_keras.connectors.optimal_transport import MATCHES, SCAN, OptimalTransport
from mc_keras.connectors.path_loss import PathLoss
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace

# Most linear layers of a network in which these are tried one after the other.
_FEW_LAYERS = 5
_KNOTS_PER_LAYER = 8


class Best(Connector):
    """Units lined up, features interpolated, units put back: the best that measured, no training.

    The units of the end are reordered to be near those of the start, by weights, activations or
    both; between the two all layers are solved for by least squares, in networks of three to five
    linear layers all at once or one after the other; then the units go back to their own order
    through freed slots. Which of these is chosen by the loss of paths made from a few examples;
    labels are used for nothing else.

    Args:
        num_choosing: Number of examples, from the first on, that are used to choose.
        num_positions: See `FeatureInterpolation`.
        num_examples: See `FeatureInterpolation`.

    Raises:
        ValueError: If a number is out of range.
    """

    name = "best"
    needs_data = True

    def __init__(
        self, *, num_choosing: int = 2000, num_positions: int = 16, num_examples: int | None = None
    ):
        if num_choosing < 1:
            raise ValueError(f"Best needs an example to choose by, received {num_choosing}.")
        self.num_choosing = num_choosing
        self.num_positions = num_positions
        self.num_examples = num_examples
        self._along(0.0, 3)

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
    ) -> Path:
        """See `Connector`."""
        few = tuple(array[: self.num_choosing] for array in data)
        measure = PathLoss(space, few)
        count = num_linear(space.model)
        matches = [
            OptimalTransport(match=match, along=self._along(0.0, count)) for match in MATCHES
        ]

        def loss(candidate: OptimalTransport) -> float:
            first = OptimalTransport(**(vars(candidate) | {"end": "permuted"}))
            return measure.worst(first.connect(space, start, end, few, job), SCAN)

        losses = [loss(candidate) for candidate in matches]
        lowest = min(losses)
        chosen = matches[losses.index(lowest)]
        if 2 < count <= _FEW_LAYERS:
            other = OptimalTransport(match=chosen.match, along=self._along(1.0, count))
            if loss(other) < lowest:
                chosen = other
        return chosen.connect(space, start, end, data, job)

    def _along(self, stagger: float, num_layers: int) -> FeatureInterpolation:
        return FeatureInterpolation(
            stagger=stagger,
            num_knots=_KNOTS_PER_LAYER * num_layers + 1 if stagger else 5,
            num_positions=self.num_positions,
            num_examples=self.num_examples,
        )
