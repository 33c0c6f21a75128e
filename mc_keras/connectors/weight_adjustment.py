"""Weight adjustment: the layers behind the one that moves are solved for, to keep the outputs."""

from typing import Any, Literal

import keras

from mc_keras.adjustment import Stepwise, is_adjustable, layerwise_path
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace


class WeightAdjustment(Connector):
    """Layer by layer from the input on, each next layer refitted by least squares on the way.

    While one layer goes from the start's weights to the end's, the layer after it is solved for at
    some breakpoints, so that it is given what it was given in the start; between breakpoints the
    path is straight. With one hidden layer this is one leg: the hidden units move, the output
    layer follows. In networks with residual connections all layers that read the moving stream
    follow. Works for dense layers and convolutions in any Sequential or Functional model; layers of
    other kinds move with the layer before them.

    Args:
        base: How units move: `Linear()`, `Arc()`, or `OptimalTransport()` to reorder the end's
            units first and last. Any other options of `OptimalTransport` hold too.
        target: What the output layer is fitted to: the outputs of the `"start"`, as in the paper,
            of the `"end"`, or the `"blend"` of both, which goes from one to the other along the
            last leg and measured best.
        num_breakpoints: Points of a leg at which is solved, both ends included.
        ridge: Strength of the pull towards the weights that the layer had, relative to the mean
            squared feature. It holds the path at the start exactly, and keeps weights of dead and
            doubled units from growing.
        pseudo_inverse: Solve by the plain pseudo-inverse instead, without a ridge, as in the paper.
        num_positions: Most output positions of a convolution that are used of each example, drawn
            at random.
        num_examples: Number of examples, from the first on; if not given, as many as fit into 4
            GiB of activations.

    Raises:
        TypeError: If `base` is another connector.
        ValueError: If an option is unknown or out of range.

    Reference:
        Anokhin and Yarotsky, 2020, sections 3.5 and 4.1.
    """

    needs_data = True

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
        self.base = checked_base(type(self).__name__, base)
        if target not in ("start", "end", "blend"):
            raise ValueError(
                f"WeightAdjustment takes target='start', 'end' or 'blend', not target={target!r}."
            )
        if (
            num_breakpoints < 2
            or num_positions < 1
            or (num_examples is not None and num_examples < 1)
            or ridge < 0
        ):
            raise ValueError(
                "WeightAdjustment needs at least two breakpoints (the ends), one position, one "
                f"example and a ridge of 0 or more, received num_breakpoints={num_breakpoints}, "
                f"num_positions={num_positions}, num_examples={num_examples}, ridge={ridge}."
            )
        self.target = target
        self.num_breakpoints = num_breakpoints
        self.ridge = ridge
        self.pseudo_inverse = pseudo_inverse
        self.num_positions = num_positions
        self.num_examples = num_examples

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the base, and what is added to it."""
        return f"{self.base.name}+wa"

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
            inner = WeightAdjustment(**(vars(self) | {"base": self.base.along}))
            transport = OptimalTransport(**(vars(self.base) | {"along": inner}))
            return transport.connect(space, start, end, data, job)
        how = Stepwise(
            arc=isinstance(self.base, Arc),
            target=self.target,
            num_breakpoints=self.num_breakpoints,
            ridge=self.ridge,
            pseudo_inverse=self.pseudo_inverse,
            num_positions=self.num_positions,
            seed=job.seed,
        )
        return connect_layerwise(space, start, end, data[0][: self.num_examples], how, job)


def checked_base(name: str, base: Connector | None) -> Connector:
    """The connector that a method which goes layer by layer moves units along.

    Raises:
        TypeError: If it is another one.
    """
    base = Linear() if base is None else base
    if not isinstance(base, Linear | Arc | OptimalTransport):
        raise TypeError(
            f"{name} moves units along Linear(), Arc() or OptimalTransport(), received "
            f"{type(base).__name__}."
        )
    return base


def connect_layerwise(
    space: WeightSpace, start: keras.Model, end: keras.Model, x: Any, how: Stepwise, job: Job
) -> Path:
    """The path that `layerwise_path` makes between two models."""
    a, b = WeightSpace(start), WeightSpace(end)
    return layerwise_path(
        space,
        (a.read(), b.read()),
        (a.read_state(), b.read_state()),
        x,
        how,
        solutions=job.solutions,
        verbose=job.verbose,
    )
