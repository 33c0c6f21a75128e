"""Butterflies layer by layer: units move with their incoming and outgoing weights."""

from typing import Any

import keras

from mc_keras.adjustment import Stepwise, is_adjustable
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.weight_adjustment import checked_base, connect_layerwise
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace


class Butterfly(Connector):
    """Layer by layer, each unit going to its place together with its incoming and outgoing weights.

    The layers behind the one that moves are solved for once in each leg, as in `WeightAdjustment`,
    and go there along with it.

    Args:
        base: `Linear()`, `Arc()` or `OptimalTransport()`, see `WeightAdjustment`.
        ridge: See `WeightAdjustment`.
        num_positions: See `WeightAdjustment`.
        num_examples: See `WeightAdjustment`.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If an option is out of range.

    Reference:
        Anokhin and Yarotsky, 2020, section 4.1.
    """

    needs_data = True

    def __init__(
        self,
        base: Connector | None = None,
        *,
        ridge: float = 1e-4,
        num_positions: int = 16,
        num_examples: int | None = None,
    ):
        self.base = checked_base(type(self).__name__, base)
        if num_positions < 1 or (num_examples is not None and num_examples < 1) or ridge < 0:
            raise ValueError(
                "Butterfly needs at least one position, one example and a ridge of 0 or more, "
                f"received num_positions={num_positions}, num_examples={num_examples}, "
                f"ridge={ridge}."
            )
        self.ridge = ridge
        self.num_positions = num_positions
        self.num_examples = num_examples

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the base, and what is added to it."""
        return f"{self.base.name}+bfly"

    @property
    def reaches_end(self) -> bool:  # type: ignore[override]
        """See `Connector`."""
        return self.base.reaches_end

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
        if isinstance(self.base, OptimalTransport):
            inner = Butterfly(**(vars(self) | {"base": self.base.along}))
            transport = OptimalTransport(**(vars(self.base) | {"along": inner}))
            return transport.connect(space, start, end, data, job)
        how = Stepwise(
            refit=False,
            arc=isinstance(self.base, Arc),
            ridge=self.ridge,
            num_positions=self.num_positions,
            seed=job.seed,
        )
        return connect_layerwise(space, start, end, data[0][: self.num_examples], how, job)
