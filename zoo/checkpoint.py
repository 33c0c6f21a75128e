"""Checkpoints of a training run that survive a kill at any moment."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mc_keras import storage


class Checkpoint(keras.callbacks.Callback):
    """Writes everything that a run needs to go on, atomically, after each epoch.

    That is the weights, the other state of the model (batch-norm moments, the state of dropout's
    random generators) and the optimizer's variables. Give it to `fit` as the last callback.

    Args:
        file: The checkpoint file.
        run: What identifies the run, JSON-able; a file of another run is refused.
        dtype_policy: What the run is trained in; `kept_dtype_policy` tells it.

    Attributes:
        seconds: Duration of the epochs so far, those before an interruption included.
    """

    def __init__(self, file: pathlib.Path, run: Mapping[str, Any], dtype_policy: str = "float32"):
        super().__init__()
        self._file = file
        self._run = dict(run)
        self._dtype_policy = dtype_policy
        self._mark = 0.0
        self.seconds = 0.0

    def restore(self, model: keras.Model) -> int:
        """Puts a compiled model where the run was interrupted.

        Returns:
            The number of epochs that are done; 0 if there is no checkpoint.

        Raises:
            ValueError: If the file is damaged or belongs to another run.
        """
        model.optimizer.build(model.trainable_variables)
        if not self._file.exists():
            return 0
        header, arrays = storage.read_archive(self._file, "checkpoint")
        if header["run"] != self._run:
            raise ValueError(
                f"{self._file} belongs to a run of another recipe, seed or number of epochs; "
                "choose another directory."
            )
        for i, variable in enumerate(_state(model)):
            variable.assign(arrays[str(i)])
        self.seconds = header["seconds"]
        return header["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the clock."""
        self._mark = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the checkpoint."""
        if self.model.stop_training:  # the loss is not finite: keep the last good epoch
            return
        self.seconds += time.monotonic() - self._mark
        arrays = [keras.ops.convert_to_numpy(v) for v in _state(self.model)]
        storage.write_archive(
            self._file,
            {
                "run": self._run,
                "epochs": epoch + 1,
                "seconds": self.seconds,
                "dtype_policy": self._dtype_policy,
            },
            {str(i): np.asarray(array) for i, array in enumerate(arrays)},
        )


def kept_dtype_policy(file: pathlib.Path) -> str | None:
    """What an interrupted run was trained in; `None` if there is none, or it does not say."""
    if not file.exists():
        return None
    header, _ = storage.read_archive(file, "checkpoint")
    return header.get("dtype_policy")


def _state(model: keras.Model) -> list[keras.Variable]:
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]
