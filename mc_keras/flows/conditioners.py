"""Networks that say how a flow shifts and scales each coordinate, given others."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable("mc_keras")
class CouplingNetwork(keras.layers.Layer):
    """Shift and log-scale of some coordinates from the values of others: dense layers.

    The last layer is zero at first, so that the coupling is the identity. Log-scales stay within
    `max_log_scale`, by a hyperbolic tangent, so that no exponential overflows.

    Args:
        outputs: Number of coordinates to shift and scale.
        hidden: Units of each hidden layer.
        max_log_scale: Bound of the log-scales, in nats.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.
    """

    def __init__(self, outputs: int, hidden: Sequence[int], max_log_scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.outputs = outputs
        self.hidden = tuple(hidden)
        self.max_log_scale = max_log_scale
        self._layers_in_order = [
            *(
                self._dense(units, activation="relu", name=f"hidden_{index}")
                for index, units in enumerate(self.hidden)
            ),
            self._dense(2 * outputs, kernel_initializer="zeros", name="shift_and_log_scale"),
        ]

    def _dense(self, units: int, **kwargs: Any) -> keras.layers.Dense:
        return keras.layers.Dense(units, dtype=self.dtype_policy, **kwargs)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the weights."""
        shape = tuple(input_shape)
        for layer in self._layers_in_order:
            layer.build(shape)
            shape = (*shape[:-1], layer.units)

    def call(self, x: Any) -> tuple[Any, Any]:
        """Shift and log-scale, each of shape `(rows, outputs)`."""
        for layer in self._layers_in_order:
            x = layer(x)
        shift, log_scale = keras.ops.split(x, 2, axis=-1)
        bound = self.max_log_scale
        return shift, bound * keras.ops.tanh(log_scale / bound)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = {
            "outputs": self.outputs,
            "hidden": list(self.hidden),
            "max_log_scale": self.max_log_scale,
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mc_keras")
class AutoregressiveNetwork(CouplingNetwork):
    """Shift and log-scale of each coordinate from the values of those before it: masked layers.

    Hidden units see the coordinates up to their degree; degrees are spread evenly over the
    coordinates.

    Reference:
        Germain et al., 2015, https://arxiv.org/abs/1502.03509
    """

    def _dense(self, units: int, **kwargs: Any) -> "MaskedDense":
        return MaskedDense(units, dtype=self.dtype_policy, **kwargs)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the weights and their masks."""
        degrees = np.arange(self.outputs)
        for layer, units in zip(self._layers_in_order, self.hidden, strict=False):
            following = np.arange(units) * max(self.outputs - 1, 1) // units
            layer.mask = degrees[:, None] <= following
            degrees = following
        # Strictly later: a coordinate does not see itself.
        self._layers_in_order[-1].mask = np.tile(degrees[:, None] < np.arange(self.outputs), 2)
        super().build(input_shape)


@keras.saving.register_keras_serializable("mc_keras")
class MaskedDense(keras.layers.Dense):
    """A Dense layer some of whose weights are zero for ever.

    The masked layers of TensorFlow Probability are Keras 2: no Keras 3 model tracks or saves them.

    Attributes:
        mask: True where there is a weight, shape `(inputs, units)`.
    """

    mask: np.ndarray

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The outputs."""
        kernel = self.kernel * keras.ops.convert_to_tensor(self.mask, self.kernel.dtype)
        return self.activation(keras.ops.matmul(inputs, kernel) + self.bias)
