"""Callbacks for the training of flows."""

import math
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.flows.bijection import BijectionModel
from mc_keras.storage import atomic_write


class WorstPoint(keras.callbacks.Callback):
    """Measures the worst accuracy on the paths between held-out pairs, as `val_worst_accuracy`.

    Give it to the `fit` of a `BijectionModel` before callbacks that read it, such as
    `keras.callbacks.EarlyStopping("val_worst_accuracy", mode="max")`. To follow another training of
    a flow, such as that of a `LikelihoodModel`, give it the paths.

    Args:
        x: Inputs of the networks.
        y: Integer labels, one for each input.
        positions: Where on the paths to measure.
        period: Measure after every so many epochs, and after the first of a resumed training;
            between, the last value is reported.
        batch_size: Examples at once.
        paths: The model that has the held-out pairs, of the flow that is trained; the model that
            is trained if not given.

    Attributes:
        history: Epoch, and for each pair the worst accuracy, for every measurement.

    Raises:
        ValueError: If there is not one integer label for each input, no position or no period; from
            `fit`, if the networks have not one output for each class, or `paths` has another flow.
        TypeError: From `fit`, if the model has no paths and none were given.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        positions: Sequence[float] = (0.25, 0.5, 0.75),
        period: int = 1,
        batch_size: int = 2500,
        paths: BijectionModel | None = None,
    ):
        super().__init__()
        labels = np.ravel(y)
        if len(labels) != len(x) or labels.dtype.kind not in "iu":
            raise ValueError(
                "WorstPoint measures accuracy by one integer label for each input, received "
                f"{len(x)} inputs and labels of shape {np.shape(y)} and dtype {labels.dtype}."
            )
        if period < 1 or not len(positions):
            raise ValueError(
                "WorstPoint needs a period of at least one epoch and at least one position, "
                f"received period={period}, positions={tuple(positions)}."
            )
        self._x, self._y = x, labels
        self._positions = tuple(positions)
        self._period = period
        self._batch_size = batch_size
        self._paths = paths
        self.history: list[tuple[int, list[float]]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find the paths."""
        model = self.model if self._paths is None else self._paths
        if not isinstance(model, BijectionModel):
            raise TypeError(
                f"WorstPoint follows a BijectionModel, received a {type(model).__name__}: pass "
                "paths=BijectionModel(flow, networks, held_out) of the same flow."
            )
        if model.flow is not getattr(self.model, "flow", model.flow):
            raise ValueError(
                "WorstPoint follows the flow that is trained, received paths of another one: make "
                "paths=BijectionModel(flow, ...) of the flow that fit trains."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, and report in `logs`."""
        if epoch % self._period == 0 or not self.history:
            self.history.append((epoch, self.measure()))
        if logs is not None:
            logs["val_worst_accuracy"] = float(np.mean(self.history[-1][1]))

    def measure(self) -> list[float]:
        """The worst accuracy, a fraction, on the path of each held-out pair."""
        model = self.model if self._paths is None else self._paths
        before = model.pair, model.position
        worst = []
        for pair in range(model.num_pairs):
            model.pair = pair
            accuracies = []
            for position in self._positions:
                model.position = position
                outputs = model.predict(self._x, batch_size=self._batch_size, verbose=0)
                if outputs.ndim != 2 or outputs.shape[1] < 2:
                    raise ValueError(
                        "WorstPoint measures the accuracy of networks with one output for each "
                        f"class, two or more; these have outputs of shape {outputs.shape[1:]}."
                    )
                accuracies.append(np.mean(outputs.argmax(-1) == self._y))
            worst.append(float(min(accuracies)))
        model.pair, model.position = before
        return worst


class Diverged(ValueError):
    """The training of a flow diverged."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends a training whose loss or weights are not finite any more, at the last good weights.

    The weights that it goes back to are those after the last epoch at whose end all were finite, or
    those that the first epoch began with. Give it to `fit` before callbacks that keep weights, such
    as `keras.callbacks.BackupAndRestore`: they then keep no others than good ones.

    Args:
        file: A `.keras` file to write the flow at its last good weights to.
        advice: What to try, a sentence at the end of the error.

    Raises:
        ValueError: If `file` is no `.keras` file.
        Diverged: From `fit`, a ValueError, with the step and what to try.
        OSError: From `fit`, if the file cannot be written.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        advice: str = "Try a lower learning rate, clipped gradients (global_clipnorm=1.0 of the "
        "optimizer) or a smaller max_log_scale of the flow.",
    ):
        super().__init__()
        if file is not None and not os.fspath(file).endswith(".keras"):
            raise ValueError(
                f"A flow is written to a .keras file, received file={os.fspath(file)!r}."
            )
        self._file = file
        self._advice = advice
        self._good: tuple[list[np.ndarray], list[np.ndarray]] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget an earlier training."""
        self._good = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the first weights."""
        self._epoch = epoch
        # Not when the training begins: callbacks further on restore those of an interrupted run.
        if self._good is None:
            self._good, self._good_epoch = self._present(), epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if the loss is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._stop(f"its loss is not finite at step {batch + 1} of epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights; stop if they are not finite."""
        present = self._present()
        if not all(np.isfinite(array).all() for array in present[0]):
            self._stop(f"its weights are not finite after the last step of epoch {epoch + 1}")
        self._good, self._good_epoch = present, epoch + 1

    def _present(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights, and what the optimizer has gathered: its moments would spoil them again."""
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return self.model.get_weights(), [v.numpy() for v in optimizer.variables]

    def _stop(self, problem: str) -> None:
        weights, gathered = self._good or self._present()
        self.model.set_weights(weights)
        for variable, array in zip(self.model.optimizer.variables, gathered, strict=True):
            variable.assign(array)
        kept = ""
        if self._file is not None:
            with atomic_write(self._file) as temporary:
                self.model.flow.save(temporary)
            kept = f"; {os.fspath(self._file)} holds it"
        raise Diverged(
            f"The training of the flow diverged: {problem}. The flow has its weights from after "
            f"epoch {self._good_epoch} again{kept}. {self._advice}"
        )
