"""`Path`: a function from the position t in [0, 1] to a point in weight space."""

import abc
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mc_keras.batch_norm import estimate_batch_norm
from mc_keras.cloning import clone
from mc_keras.data import inputs_of
from mc_keras.storage import PathLike
from mc_keras.weight_space import WeightSpace


class Path(abc.ABC):
    """A continuous path of weights between two trained models.

    `path(t)` is the point at `t`, a list of arrays aligned with `path.variables`; `path(0)` and
    `path(1)` are the two ends, bit for bit.

    Attributes:
        space: Weight space of a private copy of the models' architecture.
        method: Name of the method that made the path.
        provenance: JSON-able mapping: how, from what and with which versions the path was made.
    """

    def __init__(self, space: WeightSpace, *, method: str, provenance: dict[str, Any] | None):
        self.space = space
        self.method = method
        self.provenance = dict(provenance or {})

    @property
    def variables(self) -> tuple[keras.Variable, ...]:
        """Variables of the architecture that the arrays of a point belong to, in their order."""
        return self.space.variables

    @property
    @abc.abstractmethod
    def knots(self) -> tuple[float, ...]:
        """Positions that every evaluation visits, `0.0` and `1.0` included.

        They are the corners of the path, or, where it has thousands of them, the ends of its stages
        and the places of highest loss that its maker knows of; see `corners`.
        """

    @property
    def corners(self) -> tuple[float, ...]:
        """All positions where the path may have a corner."""
        return self.knots

    def __call__(self, t: float) -> list[np.ndarray]:
        """The point at `t`.

        Args:
            t: Position on the path, dimensionless, in `[0, 1]`.

        Returns:
            New arrays, aligned with `variables`.

        Raises:
            TypeError: If `t` is not a number.
            ValueError: If `t` is not finite or outside `[0, 1]`.
        """
        return self._point(check_position(t))

    def state(self, t: float) -> list[np.ndarray]:
        """Weights that are not trained, such as batch-norm statistics, interpolated at `t`.

        Exact at the ends; between them straight lines, which for batch-norm statistics are a guess
        only: re-estimate them where it matters (`batch_norm_data`).

        Raises:
            TypeError: If `t` is not a number.
            ValueError: If `t` is not finite or outside `[0, 1]`.
        """
        return self._state(check_position(t))

    @abc.abstractmethod
    def _point(self, t: float) -> list[np.ndarray]: ...

    @abc.abstractmethod
    def _state(self, t: float) -> list[np.ndarray]: ...

    @abc.abstractmethod
    def tensor_point(
        self, t: Any, as_tensor: Callable[[np.ndarray], Any] = keras.ops.convert_to_tensor
    ) -> tuple[list[Any], list[Any]]:
        """Point and state at a scalar tensor `t` in `[0, 1]`, inside a graph.

        `as_tensor` gives the tensor that stands for an array of the path: a constant, or a variable
        of the graph's owner.
        """

    def model(self, t: float, batch_norm_data: Any = None) -> keras.Model:
        """An ordinary Keras model at the position `t`.

        Args:
            t: Position on the path, in `[0, 1]`.
            batch_norm_data: Inputs `x`, a pair `(x, y)` or a `tf.data.Dataset`, from which the
                batch-norm statistics are re-estimated; without it they are those of `state(t)`.

        Returns:
            A new model, independent of the path, not compiled.

        Raises:
            TypeError: If `t` is not a number.
            ValueError: If `t` is not finite or outside `[0, 1]`, or the data do not fit the model.
        """
        point, state = self(t), self.state(t)
        model = clone(self.space.model)
        space = WeightSpace(model)
        if batch_norm_data is not None:
            x = inputs_of(batch_norm_data, model)
            state = estimate_batch_norm(space, point, x, state=state)
        space.write(point, state)
        return model

    def save(self, file: PathLike) -> None:
        """Write the path to one self-contained file: architecture, control points, provenance.

        The file holds no pickle; it is written atomically and verified by `mc.load_path`.

        Raises:
            OSError: If the file cannot be written.
        """
        from mc_keras.paths.files import save_path

        save_path(self, file)

    @abc.abstractmethod
    def describe(self, store: Any) -> dict[str, Any]:
        """JSON-able description of the path; arrays go to `store.add(array) -> name`."""

    @classmethod
    @abc.abstractmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "Path":
        """The path that `describe` described; `load` maps a name to its array or sub-path."""

    def __repr__(self) -> str:
        size = sum(math.prod(v.shape) for v in self.variables)
        return f"<{type(self).__name__} by '{self.method}' of {size:,} weights>"


def check_position(t: Any) -> float:
    """`t` as a float in `[0, 1]`, or a TypeError or ValueError that says what is wrong."""
    try:
        value = float(t)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The position t must be one number in [0, 1], received {t!r:.80}."
        ) from error
    if not 0.0 <= value <= 1.0:
        raise ValueError(
            f"The position t must be in [0, 1], received t={value}: a path is defined between its "
            "two ends only."
        )
    return value + 0.0  # not -0.0
