"""What methods share that take one layer after the other from the start to the end."""

import abc
import dataclasses
from typing import Any, ClassVar

import keras

from mc_keras.adjustment import Stepwise, is_stepwise, layerwise_path
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job, read_ends
from mc_keras.connectors.learned import LearnedConnection
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.options import not_negative, whole, whole_or_all
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace


class LayerByLayer(Connector):
    """A base along which units move, and options of the least squares."""

    needs_data = True
    added: str  # to the name of the base
    bases: ClassVar[tuple[type[Connector], ...]] = (Linear, Arc, OptimalTransport)

    def __init__(
        self,
        base: Connector | None,
        ridge: float,
        num_positions: int,
        num_examples: int | None,
    ):
        name = type(self).__name__
        self.base = Linear() if base is None else base
        moved = self.base
        while isinstance(moved, OptimalTransport):
            moved = moved.along
        if not isinstance(moved, self.bases):
            *bases, last = (f"{kind.__name__}()" for kind in self.bases)
            along = "" if moved is self.base else "OptimalTransport along "
            raise TypeError(
                f"{name} moves units along {', '.join(bases)} or {last}, received "
                f"{along}{type(moved).__name__}."
            )
        self.ridge = not_negative(self, "ridge", ridge)
        self.num_positions = whole(self, "num_positions", num_positions)
        self.num_examples = whole_or_all(self, "num_examples", num_examples)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the base, and what is added to it."""
        return f"{self.base.name}+{self.added}"

    @property
    def reaches_end(self) -> bool:  # type: ignore[override]
        """See `Connector`."""
        return self.base.reaches_end

    def applies_to(self, network: keras.Model) -> bool:
        """See `Connector`."""
        return is_stepwise(network) and self.base.applies_to(network)

    @abc.abstractmethod
    def stepwise(self, seed: int) -> Stepwise:
        """How the layers are taken."""

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
            inner = self.replace(base=self.base.along)
            return self.base.replace(along=inner).connect(space, start, end, data, job)
        how = self.stepwise(job.seed)
        if isinstance(self.base, LearnedConnection):
            how = dataclasses.replace(how, along=self.base.connect(space, start, end, data, job))
        points, states = read_ends(start, end)
        return layerwise_path(
            space,
            points,
            states,
            data[0],
            how,
            solutions=job.solutions,
            verbose=job.verbose,
        )
