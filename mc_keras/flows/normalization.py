"""Activation normalisation: coordinates with mean 0 and variance 1 on the data at first."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Weights at pixels that never change differ by less than this among trained networks.
SMALLEST_DEVIATION = 1e-3


@keras.saving.register_keras_serializable("mc_keras")
class ActivationNormalization(keras.layers.Layer):
    """Mean and log-deviation of each coordinate, from data at first and trained from there.

    It holds the weights; `Flow` makes the bijectors that shift and scale by them.

    Reference:
        Kingma and Dhariwal, 2018, section 3.1, https://arxiv.org/abs/1807.03039
    """

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the weights: the identity until `adapt`."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros")
        self.log_deviation = self.add_weight(name="log_deviation", shape=shape, initializer="zeros")

    def adapt(self, rows: np.ndarray, *, first: bool) -> None:
        """Take mean and standard deviation of each coordinate from data, `(rows, coordinates)`.

        A deviation below `SMALLEST_DEVIATION` counts as that in the first block, and as 1 further
        on: a coordinate that hardly changes would be magnified again by each block.
        """
        deviation = rows.std(0, dtype="float64")
        small = deviation < SMALLEST_DEVIATION
        deviation = np.where(small, SMALLEST_DEVIATION if first else 1.0, deviation)
        self.mean.assign(rows.mean(0, dtype="float64"))
        self.log_deviation.assign(np.log(deviation))
