"""The strongest path without training that this library knows."""

import warnings
from typing import Any, Literal

import keras
import numpy as np

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

# Most linear layers that go one after the other; of more, so many windows follow on each other, in
# which several layers go at once.
_FEW_LAYERS = 5
_KNOTS_PER_LAYER = 8
_KNOTS_PER_WINDOW = 4
# Of 2000 units as many rows tell more than 2000 do: worst points vary less with the draw.
_FOR_MATCHING = 10_000

_Order = Literal["together", "staggered", "adjusted"]


class Best(Connector):
    """Units lined up, features interpolated, units put back: the best that measured, no training.

    The units of the end are reordered to be near those of the start, by weights, activations or
    both; between the two all layers are solved for by least squares, all at once or one after the
    other, in networks of three to five linear layers also by `WeightAdjustment`; then the units go
    back to their own order, through freed slots where there can be any. Which of these is chosen by
    the loss of paths made from some examples on some others, and the other way round; labels are
    used for nothing else. Units of the path itself are matched on 10,000 examples. In networks of
    more than five linear layers each takes a fifth of the way, at the same time as some of its
    neighbours, and the choice is made one way round, by paths of fewer knots. What was chosen
    stands in the provenance of the path: how units were matched
    (`"match"`), and whether the layers go `"together"`, `"staggered"` or `"adjusted"` (`"layers"`).

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
        order = np.arange(len(drawn[0]))
        if len(order) == len(data[0]):
            # Not drawn at random: classes that alternate would be in one half each.
            order = np.random.default_rng(job.seed).permutation(order)
        halves = [tuple(array[order[k::2]] for array in drawn) for k in (0, 1)]
        if len(drawn[0]) == 1:
            halves = [drawn, drawn]
        measures = [PathLoss(space, half) for half in reversed(halves)]
        num_layers = num_linear(space.model)
        tries = list(zip(halves, measures, strict=True))
        if num_layers > _FEW_LAYERS:
            tries = tries[:1]

        def loss(candidate: OptimalTransport) -> float:
            first = candidate.replace(end="permuted")
            total = 0.0
            for half, measure in tries:
                with warnings.catch_warnings(action="ignore"):  # of so few examples, for now
                    path = first.connect(space, start, end, half, job)
                total += measure.worst(path, SCAN, verbose=job.verbose)
            return total

        def kept_loss(candidate: OptimalTransport) -> float:
            return job.solutions.number(lambda: loss(candidate))

        together = self._candidate("together", num_layers, choosing=True)
        candidates = [together.replace(match=match) for match in MATCHES]
        losses = [kept_loss(candidate) for candidate in candidates]
        chosen, lowest = min(zip(MATCHES, losses, strict=True), key=lambda pair: pair[1])
        layers: _Order = "together"
        for other in self._other_orders(space.model, num_layers):
            candidate = self._candidate(other, num_layers, choosing=True).replace(match=chosen)
            if (candidate_loss := kept_loss(candidate)) < lowest:
                layers, lowest = other, candidate_loss
        job.chosen.update(match=chosen, layers=layers)
        best = self._candidate(layers, num_layers, choosing=False).replace(
            match=chosen, num_examples=_FOR_MATCHING
        )
        return best.connect(space, start, end, data, job)

    def _lined_up(self) -> OptimalTransport:
        return OptimalTransport(on_unknown=self.on_unknown)

    @staticmethod
    def _other_orders(network: keras.Model, num_layers: int) -> list[_Order]:
        """In which the layers may go, besides together."""
        if num_layers <= 2:
            return []
        if num_layers <= _FEW_LAYERS and is_stepwise(network):
            return ["staggered", "adjusted"]
        return ["staggered"]

    def _candidate(self, order: _Order, num_layers: int, *, choosing: bool) -> OptimalTransport:
        """With layers in some order; to choose among those of many layers, with fewer knots."""
        few = num_layers <= _FEW_LAYERS
        coarse = choosing and not few
        along: Connector
        if order == "adjusted":
            along = WeightAdjustment(
                num_positions=self.num_positions, num_examples=self.num_examples
            )
        elif order == "together":
            along = self._features(0.0, 3 if coarse else 5)
        elif few:
            along = self._features(1.0, _KNOTS_PER_LAYER * num_layers + 1)
        else:
            stagger = (_FEW_LAYERS - 1) / (num_layers - 1)
            segments = _KNOTS_PER_WINDOW * _FEW_LAYERS
            along = self._features(stagger, (segments // 2 if coarse else segments) + 1)
        return self._lined_up().replace(along=along)

    def _features(self, stagger: float, num_knots: int) -> FeatureInterpolation:
        return FeatureInterpolation(
            stagger=stagger,
            num_knots=num_knots,
            num_positions=self.num_positions,
            num_examples=self.num_examples,
        )
