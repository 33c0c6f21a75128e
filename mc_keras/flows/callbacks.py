"""Callbacks for the training of flows."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class WorstPoint(keras.callbacks.Callback):
    """Measures the worst accuracy on the paths between held-out pairs, as `val_worst_accuracy`.

    Give it to the `fit` of a `BijectionModel` before callbacks that read it, such as
    `keras.callbacks.EarlyStopping("val_worst_accuracy", mode="max")`.

    Args:
        x: Inputs of the networks.
        y: Integer labels.
        positions: Where on the paths to measure.
        period: Measure after every so many epochs; between, the last value is reported.
        batch_size: Examples at once.

    Attributes:
        history: Epoch, and for each pair the worst accuracy, for every measurement.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        positions: Sequence[float] = (0.25, 0.5, 0.75),
        period: int = 1,
        batch_size: int = 2500,
    ):
        super().__init__()
        self._x, self._y = x, np.ravel(y)
        self._positions = tuple(positions)
        self._period = period
        self._batch_size = batch_size
        self.history: list[tuple[int, list[float]]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, and report in `logs`."""
        if epoch % self._period == 0 or not self.history:
            self.history.append((epoch, self.measure()))
        if logs is not None:
            logs["val_worst_accuracy"] = float(np.mean(self.history[-1][1]))

    def measure(self) -> list[float]:
        """The worst accuracy, a fraction, on the path of each held-out pair."""
        model = self.model
        before = model.pair, model.position
        worst = []
        for pair in range(model.num_pairs):
            model.pair = pair
            accuracies = []
            for position in self._positions:
                model.position = position
                outputs = model.predict(self._x, batch_size=self._batch_size, verbose=0)
                accuracies.append(np.mean(outputs.argmax(-1) == self._y))
            worst.append(float(min(accuracies)))
        model.pair, model.position = before
        return worst


class StopOnDivergence(keras.callbacks.Callback):
    """Ends a training whose loss is not finite any more, at the last good weights.

    The weights that it goes back to are those after the last epoch whose loss was finite, or those
    at the beginning.

    Raises:
        ValueError: From `fit`, with the step and what to try.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keep the first weights."""
        self._good = self.model.get_weights()
        self._epoch = self._good_epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if the loss is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.set_weights(self._good)
            raise ValueError(
                f"The training of the flow diverged: its loss is not finite at step {batch + 1} of "
                f"epoch {self._epoch + 1}. The flow has its weights from after epoch "
                f"{self._good_epoch} again. Try a lower learning rate, clipped gradients "
                "(global_clipnorm=1.0 of the optimizer) or a smaller max_log_scale of the flow."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights, if they are good."""
        weights = self.model.get_weights()
        if all(np.isfinite(array).all() for array in weights):
            self._good, self._good_epoch = weights, epoch + 1
