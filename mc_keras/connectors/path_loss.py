"""The loss on a path, for methods that choose by it."""

import math
from collections.abc import Sequence

import keras
from numpy.typing import NDArray

from mc_keras.batch_norm import BatchNormEstimator
from mc_keras.paths import Path
from mc_keras.progress import ProgressBar
from mc_keras.tasks import infer_loss
from mc_keras.weight_space import WeightSpace

_BATCH = 500


class PathLoss:
    """The loss on the data, at a few positions of a path, batch-norm statistics measured there.

    Args:
        space: Weight space of the architecture.
        data: `(x, y)`.
    """

    def __init__(self, space: WeightSpace, data: tuple[NDArray, NDArray]):
        self.space, (self.x, self.y) = space, data
        self.loss = infer_loss(space.model, self.y)
        self.batch_norm = BatchNormEstimator(space.model, self.x)

    def worst(self, path: Path, positions: Sequence[float], *, verbose: int = 0) -> float:
        """The highest loss; infinite where it is not finite."""
        return max(self.at(path, positions, verbose=verbose))

    def at(self, path: Path, positions: Sequence[float], *, verbose: int = 0) -> list[float]:
        """The loss at each position."""
        bar = ProgressBar("measuring the loss", len(positions), verbose=verbose)
        losses = []
        for t in positions:
            losses.append(self._loss(path, t))
            bar.add(1)
        return losses

    def _loss(self, path: Path, t: float) -> float:
        point = path(t)
        state = self.batch_norm(point, path.state(t))
        total = 0.0
        for begin in range(0, len(self.x), _BATCH):
            x, y = self.x[begin : begin + _BATCH], self.y[begin : begin + _BATCH]
            value = self.loss(y, self.space(point, x, state=state))
            total += float(keras.ops.convert_to_numpy(value)) * len(x)
        return total / len(self.x) if math.isfinite(total) else math.inf
