"""What every connection method is: an object whose `connect` turns two models into a path."""

import abc
import dataclasses
import inspect
from typing import Any, Self

import keras
from numpy.typing import NDArray

from mc_keras.adjustment import Solutions
from mc_keras.checkpoint import Checkpoint
from mc_keras.paths import Path
from mc_keras.weight_space import WeightSpace


@dataclasses.dataclass(frozen=True)
class Job:
    """How a method is run, whatever the method.

    Attributes:
        seed: Seed of everything random.
        verbose: 0 silent, 1 progress.
        solutions: What an earlier, killed run of the same method has solved.
        checkpoint: Where methods that solve for nothing keep how far they are.
        chosen: What a method that tries several constructions tells of the one that it took.
    """

    seed: int = 0
    verbose: int = 0
    solutions: Solutions = dataclasses.field(default_factory=Solutions)
    checkpoint: Checkpoint | None = None
    chosen: dict[str, str] = dataclasses.field(default_factory=dict)


_Both = tuple[list[NDArray], list[NDArray]]


def read_ends(start: keras.Model, end: keras.Model) -> tuple[_Both, _Both]:
    """The points of both ends, and their states."""
    a, b = WeightSpace(start), WeightSpace(end)
    return (a.read(), b.read()), (a.read_state(), b.read_state())


class Connector(abc.ABC):
    """A connection method with its options.

    A new method is one final class derived from this one, in a file of its own, with keyword-only
    constructor arguments of plain types or connectors kept under their own names, a `name`, and
    one line in the table of names.
    """

    name: str
    needs_data = False
    uses_data = False  # takes data where there are any
    summary: str | None = None  # for readers of reports, if not the docstring's first paragraph
    reaches_end = True  # `False` if the path ends at a reordering of the end

    @abc.abstractmethod
    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> Path:
        """The path from `start` to `end`.

        Args:
            space: Weight space of a private copy of the architecture, which the path keeps.
            start: Model at `t = 0`. Not changed.
            end: Model at `t = 1`. Not changed.
            data: `(x, y)` in memory, or `None` for methods that need none.
            job: How the method is run.
        """

    def applies_to(self, network: keras.Model) -> bool:
        """Whether the method can connect networks like this one, as far as can be told quickly."""
        return True

    def check_units(self, network: keras.Model) -> None:
        """Find the units that are reordered, in an instant, where `connect` may work for long.

        Raises:
            TypeError: If the network is none that has units.
            ValueError: If a layer is in the way, see `mc.units.unit_groups`.
        """
        for inner in self._options().values():
            if isinstance(inner, Connector):
                inner.check_units(network)

    def get_config(self) -> dict[str, Any]:
        """JSON-able description of the method, for the provenance of a path."""
        return {key: _described(value) for key, value in self._options().items()}

    def replace(self, **changes: Any) -> Self:
        """The same method with other options.

        Raises:
            TypeError: If there is no such option.
            ValueError: If an option is unknown or out of range.
        """
        return type(self)(**(self._options() | changes))

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}


def _described(value: Any) -> Any:
    if hasattr(value, "get_config"):
        return {"class": type(value).__name__, **value.get_config()}
    return value
