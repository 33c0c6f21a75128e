"""Many networks of one architecture as a single Keras model, with one product for all of them."""

from collections.abc import Sequence

import keras
import numpy as np

from mc_keras.batches import Batches
from mc_keras.zoo.architectures import initialize


class StackedDense(keras.layers.Layer):
    """The Dense layers of several networks side by side.

    Inputs of shape `(networks, batch, features)` become `(networks, batch, units)`.

    Args:
        count: Number of networks.
        like: The layer that each of them has.
    """

    def __init__(self, count: int, like: keras.layers.Dense):
        super().__init__(name=like.name, dtype=like.dtype_policy)
        self.count = count
        self.units = like.units
        self.use_bias = like.use_bias
        self.activation = like.activation

    def build(self, input_shape: Sequence[int]) -> None:
        """Make the weights, all zero; `set_network` fills them."""
        shape = (self.count, input_shape[-1], self.units)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")
        if self.use_bias:
            shape = (self.count, 1, self.units)
            self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def call(self, x):
        """All networks' outputs."""
        x = keras.ops.matmul(x, self.kernel)
        return self.activation(x + self.bias if self.use_bias else x)


class StackedBatches(keras.utils.PyDataset):
    """The batches of several networks side by side, each in its own order.

    Args:
        members: What each network would be trained on alone.
    """

    def __init__(self, members: Sequence[Batches]):
        super().__init__()
        self._members = members

    def __len__(self) -> int:
        return len(self._members[0])

    def set_epoch(self, epoch: int) -> None:
        """Shuffle for the epoch."""
        for member in self._members:
            member.epoch = epoch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = zip(*(member[index] for member in self._members), strict=True)
        return np.stack(x, axis=1), np.stack(y, axis=1)


class Stack:
    """Several networks as one model.

    Args:
        network: A network of Dense layers, after layers without weights such as the zoo's pixel
            normalisation.
        seeds: One for each network.

    Attributes:
        model: Takes images of shape `(batch, networks, ...)`, gives logits
            `(batch, networks, classes)`.

    Raises:
        ValueError: If the network has weights in other layers than a row of Dense layers at its
            end.
    """

    def __init__(self, network: keras.Model, seeds: Sequence[int]):
        self.network = network
        first = next(
            (i for i, layer in enumerate(network.layers) if layer.weights), len(network.layers)
        )
        dense = network.layers[first:]
        if not dense or any(type(layer) is not keras.layers.Dense for layer in dense):
            raise ValueError(
                f"Several networks at once are trained for fully connected networks; "
                f"'{network.name}' has other layers: train its seeds one by one."
            )
        count = len(seeds)
        images = keras.Input((count, *network.input_shape[1:]), dtype=network.inputs[0].dtype)
        features = keras.Model(network.inputs, dense[0].input)
        x = keras.ops.reshape(images, (-1, *network.input_shape[1:]))
        x = keras.ops.reshape(features(x), (-1, count, dense[0].input.shape[-1]))
        x = keras.ops.transpose(x, (1, 0, 2))
        self._layers = [StackedDense(count, layer) for layer in dense]
        for layer in self._layers:
            x = layer(x)
        x = keras.ops.transpose(x, (1, 0, 2))
        self.model = keras.Model(images, x, name=f"{count}_networks")
        for index, seed in enumerate(seeds):
            initialize(network, seed)
            for variable, value in zip(self.model.weights, network.get_weights(), strict=True):
                stacked = np.array(variable)
                stacked[index] = value
                variable.assign(stacked)

    def weights(self) -> list[np.ndarray]:
        """The weights of all networks, each array with the networks along its first axis."""
        shapes = [weight.shape for weight in self.network.get_weights()]
        return [
            np.reshape(np.array(variable), (-1, *shape))
            for variable, shape in zip(self.model.weights, shapes, strict=True)
        ]
