"""The strongest path without training that this library knows."""

import warnings
from typing import Any, Literal

import keras

from mc_keras.adjustment import is_adjustable, is_stepwise, num_linear
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.feature_interpolation import FeatureInterpolation
from mc_keras.connectors.optimal_transport import MATCHES, SCAN, OptimalTransport
from mc_keras.connectors.options import whole
from mc_keras.connectors.path_loss import PathLoss
from mc_keras.connectors.weight_adjustment import WeightAdjustment
from mc_keras.data import subset
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace

# Most linear layers of a network in which they are also solved for one after the other.
_FEW_LAYERS = 5
_KNOTS_PER_LAYER = 8


class Best(Connector):
    """Units lined up, features interpolated, units put back: the best that measured, no training.

    The units of the end are reordered to be near those of the start, by weights, activations or
    both; between the two all layers are solved for by least squares, in networks of three to five
    linear layers all at once or one after the other, or by `WeightAdjustment`; then the units go
    back to their own order through freed slots. Which of these is chosen by the loss of paths made
    from some examples on some others, and the other way round; labels are used for nothing else.

    Args:
        num_choosing: Number of examples, drawn at random, that paths to choose from are made from,
            and number of others that they are measured on; of fewer examples, half each.
        num_positions: See `FeatureInterpolation`.
        num_examples: See `FeatureInterpolation`.
        on_unknown: See `OptimalTransport`.

    Raises:
        ValueError: If an option is unknown or out of range.
    """

    name = "best"
    needs_data = True

    def __init__(
        self,
        *,
        num_choosing: int = 2000,
        num_positions: int = 16,
        num_examples: int | None = None,
        on_unknown: Literal["error", "end"] = "error",
    ):
        self.num_choosing = whole(self, "num_choosing", num_choosing)
        checked = FeatureInterpolation(num_positions=num_positions, num_examples=num_examples)
        self.num_positions = checked.num_positions
        self.num_examples = checked.num_examples
        self.on_unknown = OptimalTransport(on_unknown=on_unknown).on_unknown

    def applies_to(self, network: keras.Model) -> bool:
        """See `Connector`."""
        return is_adjustable(network) and self._lined_up().applies_to(network)

    def check_units(self, network: keras.Model) -> None:
        """See `Connector`."""
        self._lined_up().check_units(network)

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> Path:
        """See `Connector`."""
        drawn = subset(data, 2 * self.num_choosing, job.seed)
        # By turns, so that data sorted by class give both halves all classes.
        halves = [tuple(array[k::2] for array in drawn) for k in (0, 1)]
        if len(drawn[0]) == 1:
            halves = [drawn, drawn]
        measures = [PathLoss(space, half) for half in reversed(halves)]
        num_layers = num_linear(space.model)

        def loss(candidate: OptimalTransport) -> float:
            first = candidate.replace(end="permuted")
            total = 0.0
            for half, measure in zip(halves, measures, strict=True):
                with warnings.catch_warnings(action="ignore"):  # of so few examples, for now
                    path = first.connect(space, start, end, half, job)
                total += measure.worst(path, SCAN, verbose=job.verbose)
            return total

        def kept_loss(candidate: OptimalTransport) -> float:
            return job.solutions.number(lambda: loss(candidate))

        together = self._along(0.0, num_layers)
        matches = [self._lined_up().replace(match=match, along=together) for match in MATCHES]
        losses = [kept_loss(candidate) for candidate in matches]
        chosen, lowest = min(zip(matches, losses, strict=True), key=lambda pair: pair[1])
        others: list[Connector] = []
        if 2 < num_layers <= _FEW_LAYERS:
            others = [self._along(1.0, num_layers)]
            others += [self._adjustment()] if is_stepwise(space.model) else []
        for along in others:
            candidate = chosen.replace(along=along)
            if (candidate_loss := kept_loss(candidate)) < lowest:
                chosen, lowest = candidate, candidate_loss
        return chosen.connect(space, start, end, data, job)

    def _lined_up(self) -> OptimalTransport:
        return OptimalTransport(on_unknown=self.on_unknown)

    def _adjustment(self) -> WeightAdjustment:
        return WeightAdjustment(num_positions=self.num_positions, num_examples=self.num_examples)

    def _along(self, stagger: float, num_layers: int) -> FeatureInterpolation:
        return FeatureInterpolation(
            stagger=stagger,
            num_knots=_KNOTS_PER_LAYER * num_layers + 1 if stagger else 5,
            num_positions=self.num_positions,
            num_examples=self.num_examples,
        )
