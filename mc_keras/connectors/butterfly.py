"""Butterflies layer by layer: units move with their incoming and outgoing weights."""

from mc_keras.adjustment import Stepwise
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector
from mc_keras.connectors.layer_by_layer import LayerByLayer


class Butterfly(LayerByLayer):
    """Layer by layer, each unit going to its place together with its incoming and outgoing weights.

    The layers behind the one that moves are solved for once in each leg, as in `WeightAdjustment`,
    and go there along with it. (On the path of a `LearnedConnection` units move like this anyway.)

    Args:
        base: `Linear()`, `Arc()` or `OptimalTransport()`, see `WeightAdjustment`. On an arc go the
            weights into and out of the units that move; an arc of incoming rows only is refused.
        ridge: See `WeightAdjustment`.
        num_positions: See `WeightAdjustment`.
        num_examples: See `WeightAdjustment`.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If an option is out of range.

    Reference:
        Anokhin and Yarotsky, 2020, section 4.1.
    """

    added = "bfly"

    def __init__(
        self,
        base: Connector | None = None,
        *,
        ridge: float = 1e-4,
        num_positions: int = 16,
        num_examples: int | None = None,
    ):
        super().__init__(base, ridge, num_positions, num_examples)
        if isinstance(base, Arc) and base.rows != "auto":
            raise ValueError(
                "Butterfly moves units with their incoming and outgoing weights, along "
                f"Arc(rows='auto'), received Arc(rows={base.rows!r}); for arcs of incoming weights "
                "use WeightAdjustment, or Arc alone."
            )

    def stepwise(self, seed: int) -> Stepwise:
        """See the base class."""
        return Stepwise(
            refit=False,
            arc=self.base.mean if isinstance(self.base, Arc) else None,
            ridge=self.ridge,
            num_examples=self.num_examples,
            num_positions=self.num_positions,
            seed=seed,
        )
