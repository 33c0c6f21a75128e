"""The best weights of a training run, kept in a file that survives a kill at any moment."""

import math
import operator
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import keras

from mc_keras import storage


class BestWeights(keras.callbacks.Callback):
    """Ends a training that gets no better, and leaves the weights of its best epoch.

    As `keras.callbacks.EarlyStopping` with `restore_best_weights`, but best value and weights are
    kept in a file: a run that goes on after an interruption ends at the weights that it would have
    had. Give it to `fit` before the checkpoint.

    Args:
        file: The file; it stays when the training ends.
        run: What identifies the run, JSON-able; a file of another run is replaced.
        monitor: Name of what is compared, in the logs of an epoch.
        mode: Whether the best is the lowest (`"min"`) or the highest (`"max"`).
        patience: Epochs without a better one after which the training ends.
        period: Only every so many epochs are compared.
    """

    def __init__(
        self,
        file: pathlib.Path,
        run: Mapping[str, Any],
        *,
        monitor: str,
        mode: Literal["min", "max"],
        patience: int,
        period: int = 1,
    ):
        super().__init__()
        self._file = file
        self._run = dict(run)
        self._monitor = monitor
        self._is_better = operator.lt if mode == "min" else operator.gt
        self._patience = patience
        self._period = period
        self._best: dict[str, Any] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Reads what an interrupted run has kept."""
        self._best = None
        if self._file.exists():
            header, _ = storage.read_archive(self._file, "file of the best weights")
            if header["run"] == self._run:
                self._best = header

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the weights if they are the best, and ends a training that gets no better."""
        value = float((logs or {})[self._monitor])
        if epoch % self._period == 0 and self._is_best(value):
            self._best = {"run": self._run, "epoch": epoch, "value": value}
            arrays = {str(i): array for i, array in enumerate(self.model.get_weights())}
            storage.write_archive(self._file, self._best, arrays)
        if epoch - (self._best["epoch"] if self._best else 0) >= self._patience:
            self.model.stop_training = True

    def _is_best(self, value: float) -> bool:
        if self._best is None:
            return not math.isnan(value)
        return self._is_better(value, self._best["value"])

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts the best weights into the model."""
        if self._best is not None:
            _, arrays = storage.read_archive(self._file, "file of the best weights")
            self.model.set_weights([arrays[str(i)] for i in range(len(arrays))])
