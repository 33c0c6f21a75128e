"""What the flows have in common: blocks of invertible maps, as a Keras model and as a bijector."""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mc_keras.flows.conditioners import CouplingNetwork
from mc_keras.flows.normalization import ActivationNormalization
from mc_keras.flows.rows import check_finite_rows

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb


class Flow(keras.Model, abc.ABC):
    """An invertible map of the weights of one unit, from rows `x` to latents `z`.

    Each block normalises the coordinates, permutes them in a fixed random order, and shifts and
    scales some of them by amounts that depend on others. A new flow normalises the coordinates and
    does nothing else: the amounts are zero.

    The arithmetic is that of TensorFlow Probability; the weights are Keras's, so a flow is trained,
    saved (`.keras`) and loaded as any Keras model.

    Args:
        size: Number of coordinates of a row.
        num_blocks: Number of blocks.
        hidden: Units of each hidden layer of the networks inside.
        max_log_scale: Bound of the log-scale of one block, in nats.
        seed: Seed of the permutations and of the first weights.
        networks: What networks the flow was trained for, see `describe_networks`.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        ValueError: If a number does not fit.
    """

    def __init__(
        self,
        size: int,
        *,
        num_blocks: int = 6,
        hidden: Sequence[int] = (256, 256),
        max_log_scale: float = 2.0,
        seed: int = 0,
        networks: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        # Whatever the global policy is: weights of networks are float32 as well.
        super().__init__(**{"dtype": "float32", **kwargs})
        if self.variable_dtype != "float32":
            raise ValueError(
                "A flow has weights of float32, and may compute in half precision, received "
                f"dtype={self.dtype_policy.name!r}: leave it out, or give 'mixed_bfloat16'."
            )
        if size < 2 or num_blocks < 1 or not max_log_scale > 0:
            raise ValueError(
                "A flow needs at least 2 coordinates, 1 block and max_log_scale > 0, received "
                f"size={size}, num_blocks={num_blocks}, max_log_scale={max_log_scale}."
            )
        self.size = size
        self.num_blocks = num_blocks
        self.hidden = tuple(hidden)
        self.max_log_scale = max_log_scale
        self.seed = seed
        self.networks = dict(networks or {})
        self.normalizations: list[ActivationNormalization] = []
        self.permutations: list[keras.Variable] = []
        self.conditioners: list[CouplingNetwork] = []
        for index in range(num_blocks):
            self._add_block(index)
        self.built = True

    def _add_block(self, index: int) -> None:
        order = np.random.default_rng([self.seed, index]).permutation(self.size)
        # A weight, not a function of the seed: another NumPy may draw another order.
        permutation = self.add_weight(
            name=f"permutation_{index}",
            shape=(self.size,),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        permutation.assign(order)
        normalization = ActivationNormalization(name=f"normalization_{index}", dtype="float32")
        normalization.build((None, self.size))
        conditioner = self._conditioner(f"conditioner_{index}")
        self._initialize(conditioner, index)
        self.normalizations.append(normalization)
        self.permutations.append(permutation)
        self.conditioners.append(conditioner)

    def _initialize(self, conditioner: CouplingNetwork, index: int) -> None:
        generator = np.random.default_rng([self.seed, index, 1])
        for layer in conditioner._layers_in_order[:-1]:
            shape = layer.kernel.shape
            layer.kernel.assign(generator.normal(scale=np.sqrt(2 / shape[0]), size=shape))

    @abc.abstractmethod
    def _conditioner(self, name: str) -> CouplingNetwork:
        """A new built network for one block."""

    @abc.abstractmethod
    def _block(self, index: int) -> "tfb.Bijector":
        """The map of one block after normalisation and permutation, from `x` to `z`."""

    def bijector(self) -> "tfb.Bijector":
        """The flow at its present weights as a bijector, `forward` from `x` to `z`.

        A new object at each call: bijectors remember results and would give those of earlier
        weights.
        """
        from tensorflow_probability import bijectors as tfb

        steps = [step for index in range(self.num_blocks) for step in self._steps(index)]
        return tfb.Chain(steps[::-1])

    def _steps(self, index: int) -> "list[tfb.Bijector]":
        from tensorflow_probability import bijectors as tfb

        tensor = keras.ops.convert_to_tensor
        normalization = self.normalizations[index]
        return [
            tfb.Shift(-tensor(normalization.mean)),
            tfb.Scale(log_scale=-tensor(normalization.log_deviation)),
            tfb.Permute(tensor(self.permutations[index])),
            self._block(index),
        ]

    def forward(self, rows: Any) -> Any:
        """Latents `z` of rows `x`, both float32 of shape `(rows, size)`; gradients flow."""
        return self.bijector().forward(self._checked(rows))

    def inverse(self, latents: Any) -> Any:
        """Rows `x` of latents `z`, both of shape `(rows, size)`; gradients flow."""
        return self.bijector().inverse(self._checked(latents))

    def log_prob(self, rows: Any) -> Any:
        """Log-density of rows whose latents are standard normal, in nats, shape `(rows,)`."""
        import tensorflow as tf
        from tensorflow_probability import bijectors as tfb
        from tensorflow_probability import distributions as tfd

        normal = tfd.MultivariateNormalDiag(tf.zeros(self.size))
        density = tfd.TransformedDistribution(normal, tfb.Invert(self.bijector()))
        return density.log_prob(self._checked(rows))

    def call(self, rows: Any) -> Any:
        """Latents of rows."""
        return self.forward(rows)

    def adapt(self, rows: np.ndarray) -> None:
        """Set the activation normalisations from rows, `(rows, size)`, block by block.

        Raises:
            ValueError: If there are no rows, they have another size, or are not finite.
        """
        from tensorflow_probability import bijectors as tfb

        rows = keras.ops.convert_to_numpy(self._checked(rows))
        if not len(rows):
            raise ValueError(
                f"The flow '{self.name}' takes means and deviations from rows, received none."
            )
        check_finite_rows(rows)
        for index, normalization in enumerate(self.normalizations):
            normalization.adapt(rows, first=index == 0)
            rows = np.array(tfb.Chain(self._steps(index)[::-1]).forward(rows))

    def copy(self) -> "Flow":
        """The same flow with weights of its own."""
        copied = type(self).from_config(self.get_config())
        copied.set_weights(self.get_weights())
        return copied

    def _checked(self, rows: Any) -> Any:
        import tensorflow as tf

        rows = tf.cast(rows, "float32")
        if rows.shape.rank != 2 or rows.shape[-1] != self.size:
            raise ValueError(
                f"The flow '{self.name}' maps rows of {self.size} weights, received an array of "
                f"shape {tuple(rows.shape)}: a unit's row has its incoming weights, its bias and "
                "its outgoing weights."
            )
        return rows

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "name": self.name,
            "size": self.size,
            "num_blocks": self.num_blocks,
            "hidden": list(self.hidden),
            "max_log_scale": self.max_log_scale,
            "seed": self.seed,
            "networks": self.networks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Flow":
        """The flow that `get_config` described; its weights are loaded separately."""
        return cls(**config)


def checked_flow(flow: Any) -> Flow:
    """The flow itself.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(flow, Flow):
        raise TypeError(
            f"Expected a flow, such as mc.flows.RealNVP(size), received {type(flow).__name__}."
        )
    return flow
