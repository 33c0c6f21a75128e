"""Weight adjustment: the layers behind the one that moves are solved for, to keep the outputs."""

from typing import Literal

from mc_keras.adjustment import Stepwise
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector
from mc_keras.connectors.layer_by_layer import LayerByLayer
from mc_keras.connectors.learned import LearnedConnection
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.options import one_of, whole


class WeightAdjustment(LayerByLayer):
    """Layer by layer from the input on, each next layer refitted by least squares on the way.

    While one layer goes from the start's weights to the end's, the layer after it is solved for at
    some breakpoints, so that its activation is given what it was given in the start; in the last
    leg, by default, that goes over to what it is given in the end (see `target`). Between
    breakpoints what is solved for goes straight, what moves as `base` has it. With one hidden layer
    this is one leg: the hidden units move, the output layer follows. In networks with residual
    connections all layers that read the moving stream follow; where several layers lead to the
    outputs, they go over to the end's in one leg. Works for dense layers and convolutions in any
    Sequential or Functional model; layers of other
    kinds move with the layer before them.

    Args:
        base: How units move: `Linear()`, `Arc()`, `OptimalTransport()` to reorder the end's units
            first and last (any other options of it hold too; the units of all layers are matched
            at once, before the first leg, while the paper matches those of each layer in its own),
            or, in networks with one hidden layer, `LearnedConnection()`, whose path the hidden
            layer follows at the breakpoints. On an arc, whatever its rows, go the incoming weights
            of the units that move; layers of other kinds go along straight lines.
        target: What the output layer is fitted to: the outputs of the `"start"`, as in the paper,
            of the `"end"`, or the `"blend"` of both, which goes from one to the other along the
            last leg and measured best.
        num_breakpoints: Number of points of a leg at which the weights are solved for, both ends
            included.
        ridge: Strength of the pull towards the weights that the layer had, relative to the mean
            squared feature. It holds the path at the start exactly, and keeps weights of dead and
            doubled units from growing.
        pseudo_inverse: Solve by the plain pseudo-inverse instead, without a ridge, as in the paper.
        num_positions: Most output positions of a convolution that are used of each example, drawn
            at random.
        num_examples: Number of examples, drawn at random; if not given, as many as 4 GiB hold the
            activations of, with a warning if these are not all. More take no more memory, but
            longer: activations go to temporary files.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If an option is unknown or out of range.

    Reference:
        Anokhin and Yarotsky, 2020, sections 3.5 and 4.1.
    """

    added = "wa"
    bases = (Linear, Arc, OptimalTransport, LearnedConnection)

    def __init__(
        self,
        base: Connector | None = None,
        *,
        target: Literal["start", "end", "blend"] = "blend",
        num_breakpoints: int = 9,
        ridge: float = 1e-4,
        pseudo_inverse: bool = False,
        num_positions: int = 16,
        num_examples: int | None = None,
    ):
        super().__init__(base, ridge, num_positions, num_examples)
        self.target = one_of(self, "target", target, ("start", "end", "blend"))
        self.num_breakpoints = whole(self, "num_breakpoints", num_breakpoints, 2)  # the ends
        self.pseudo_inverse = pseudo_inverse

    def stepwise(self, seed: int) -> Stepwise:
        """See the base class."""
        return Stepwise(
            arc=self.base.mean if isinstance(self.base, Arc) else None,
            target=self.target,
            num_breakpoints=self.num_breakpoints,
            ridge=self.ridge,
            pseudo_inverse=self.pseudo_inverse,
            num_examples=self.num_examples,
            num_positions=self.num_positions,
            seed=seed,
        )
