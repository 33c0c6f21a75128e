"""Curves trained between two networks."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mc_keras.connectors.base import Connector, Job
from mc_keras.models import CurveModel
from mc_keras.paths import AffinePath, Bezier, Coefficients
from mc_keras.tasks import infer_accuracy, infer_loss
from mc_keras.weight_space import WeightSpace


class CurveFitting(Connector):
    """Bezier curve or polygonal chain whose bends are trained on the data.

    A `CurveModel` with Adam and a cosine schedule, for networks nobody tuned a schedule for. Train
    a `CurveModel` yourself for any other optimizer, loss or callback.

    Args:
        curve: `mc.Bezier` or `mc.PolygonalChain`; a Bezier curve with one bend if not given.
        epochs: Passes over the data.
        batch_size: Examples in a batch.
        learning_rate: Largest learning rate: it rises to it in the first twentieth of the steps and
            falls to zero along a cosine.
        weight_decay: See `CurveModel`.
        num_strata: See `CurveModel`.

    Raises:
        ValueError: If a number is out of range.

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
    ):
        if epochs < 1 or batch_size < 1 or learning_rate <= 0:
            raise ValueError(
                "CurveFitting needs at least one epoch, one example in a batch and a positive "
                f"learning rate, received epochs={epochs}, batch_size={batch_size}, "
                f"learning_rate={learning_rate}."
            )
        self.curve = curve if curve is not None else Bezier(num_control_points=3)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.num_strata = num_strata

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
        model = CurveModel(
            start,
            end,
            self.curve,
            weight_decay=self.weight_decay,
            num_strata=self.num_strata,
            seed=job.seed,
        )
        steps = self.epochs * -(-len(x) // self.batch_size)
        warmup = steps // 20
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=self.learning_rate, warmup_steps=warmup
        )
        accuracy = infer_accuracy(start, y)
        model.compile(
            optimizer=keras.optimizers.Adam(schedule),
            loss=infer_loss(start, y),
            metrics=[] if accuracy is None else [accuracy],
        )
        batches = _batches(x, y, self.batch_size, job.seed)
        model.fit(batches, epochs=self.epochs, shuffle=False, verbose=job.verbose)
        return model.path()


def _batches(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int) -> tf.data.Dataset:
    """Batches in an order drawn anew for each epoch from a seed of their own.

    `fit(shuffle=True)` would draw it from the global seed, which a library must not set.
    """
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed).batch(batch_size)
    inputs, targets = tf.constant(x), tf.constant(y)
    return order.map(lambda index: (tf.gather(inputs, index), tf.gather(targets, index)))
