"""Curves trained between two networks."""

from typing import Any, Literal

import keras
import numpy as np

from mc_keras.batches import AUGMENTATIONS, Batches
from mc_keras.checkpoint import Checkpoint
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.options import not_negative, one_of, positive, whole
from mc_keras.models import CurveModel, GaripovSchedule
from mc_keras.paths import AffinePath, Bezier, Coefficients
from mc_keras.progress import training_verbosity
from mc_keras.tasks import infer_accuracy, infer_loss
from mc_keras.weight_space import WeightSpace


class CurveFitting(Connector):
    """Bezier curve or polygonal chain whose bends are trained on the data.

    A `CurveModel` with Adam and a cosine schedule, for networks nobody tuned a schedule for, or
    with the paper's optimizer and schedule. Train a `CurveModel` yourself for any other optimizer,
    loss or callback.

    Args:
        curve: `mc.Bezier` or `mc.PolygonalChain`; a Bezier curve with one bend if not given.
        epochs: Passes over the data.
        batch_size: Examples in a batch.
        learning_rate: Largest learning rate.
        weight_decay: See `CurveModel`.
        num_strata: See `CurveModel`.
        optimizer: `"adam"`, whose learning rate rises in the first twentieth of the steps and falls
            to zero along a cosine; or `"sgd"`, the paper's: momentum 0.9 and a `GaripovSchedule`.
        augmentation: How images are changed anew in each epoch: `"none"`, or `"crop_flip"`,
            `"mirror_crop_flip"` or `"small_mirror_crop_flip"`, as recipes of the zoo have it.

    Raises:
        ValueError: If a number is out of range, there is no such optimizer or augmentation, or an
            augmentation is asked for data that are no images.

    Reference:
        Garipov et al., 2018, section 3, https://arxiv.org/abs/1802.10026
    """

    needs_data = True

    def __init__(
        self,
        *,
        curve: Coefficients | None = None,
        epochs: int = 30,
        batch_size: int = 128,
        learning_rate: float = 5e-3,
        weight_decay: float = 0.0,
        num_strata: int = 16,
        optimizer: Literal["adam", "sgd"] = "adam",
        augmentation: Literal[
            "none", "crop_flip", "mirror_crop_flip", "small_mirror_crop_flip"
        ] = "none",
    ):
        self.curve = curve if curve is not None else Bezier(num_control_points=3)
        self.epochs = whole(self, "epochs", epochs)
        self.batch_size = whole(self, "batch_size", batch_size)
        self.learning_rate = positive(self, "learning_rate", learning_rate)
        self.weight_decay = not_negative(self, "weight_decay", weight_decay)
        self.num_strata = whole(self, "num_strata", num_strata)
        self.optimizer = one_of(self, "optimizer", optimizer, _OPTIMIZERS)
        self.augmentation = one_of(self, "augmentation", augmentation, AUGMENTATIONS)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the curve family and its size, where it is not three control points."""
        family = "bezier" if isinstance(self.curve, Bezier) else "polychain"
        points = self.curve.num_control_points
        return family if points == 3 else f"{family}({points})"

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> AffinePath:
        """See `Connector`."""
        x, y = data
        batches = self._batches(x, y, job.seed)
        model = CurveModel(
            start,
            end,
            self.curve,
            weight_decay=self.weight_decay,
            num_strata=self.num_strata,
            seed=job.seed,
        )
        if not model.trainable_variables:
            raise ValueError(
                f"All layers of '{start.name}' are frozen, so that a curve between the networks "
                "cannot be trained: set `trainable` of the start network to True."
            )
        accuracy = infer_accuracy(start, y)
        model.compile(
            optimizer=_OPTIMIZERS[self.optimizer](self.learning_rate, self.epochs * len(batches)),
            loss=infer_loss(start, y),
            metrics=[] if accuracy is None else [accuracy],
        )
        kept = _KeptEpochs(job.checkpoint)
        model.fit(
            batches,
            epochs=self.epochs,
            initial_epoch=kept.restore(model),
            shuffle=False,  # Keras would shuffle the batches by Python's unseeded generator
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch)
                ),
                kept,
            ],
            verbose=training_verbosity(job.verbose),
        )
        return model.path()

    def _batches(self, x: np.ndarray, y: np.ndarray, seed: int) -> Batches:
        if self.augmentation != "none" and x.ndim != 4:
            raise ValueError(
                f"The augmentation {self.augmentation!r} is for images, of shape (height, width, "
                f"channels), received examples of shape {x.shape[1:]}: leave it out."
            )
        return Batches(x, y, batch_size=self.batch_size, augmentation=self.augmentation, seed=seed)


class _KeptEpochs(keras.callbacks.Callback):
    """Keeps how far the training is, epoch after epoch.

    Args:
        checkpoint: Where it is kept; nowhere if `None`.
    """

    def __init__(self, checkpoint: Checkpoint | None):
        super().__init__()
        self._checkpoint = checkpoint

    def restore(self, model: keras.Model) -> int:
        """Put a compiled model where an earlier run was; returns how many epochs that had done."""
        model.optimizer.build(model.trainable_variables)
        saved = None if self._checkpoint is None else self._checkpoint.load()
        if saved is None:
            return 0
        cursor, arrays = saved
        for variable, array in zip(_state(model), arrays["state"], strict=True):
            variable.assign(array)
        return cursor["epochs"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the checkpoint, unless epochs are much shorter than writing it."""
        if self._checkpoint is not None and self._checkpoint.due():
            state = [np.asarray(keras.ops.convert_to_numpy(v)) for v in _state(self.model)]
            self._checkpoint.save({"epochs": epoch + 1}, {"state": state})


def _state(model: keras.Model) -> list[keras.Variable]:
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]


def _adam(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    warmup = steps // 20
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=learning_rate, warmup_steps=warmup
        )
    )


def _sgd(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(GaripovSchedule(learning_rate, steps), momentum=0.9)


_OPTIMIZERS = {"adam": _adam, "sgd": _sgd}
