"""A linear layer and the batch norm behind it, solved for as one linear map."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.linear_layers import LinearLayer
from mc_keras.adjustment.networks import Network


class NormedLayer:
    """A linear layer whose outputs only a batch norm reads.

    Measured anew, batch norm undoes any scale and offset of what it reads: for what it gives to be
    right, its own scale and offset are found with the kernel.

    Args:
        layer: The linear layer.
        begin: Number of its call.
        norm: The batch norm, whose call is the next one.
        ends: The networks at the two ends.
    """

    def __init__(
        self,
        layer: LinearLayer,
        begin: int,
        norm: keras.layers.BatchNormalization,
        ends: Sequence[Network],
    ):
        self.layer, self._begin = layer, begin
        space = ends[0].space
        variables, states = (
            {id(v): i for i, v in enumerate(some)}
            for some in (space.variables, space.state_variables)
        )
        self._lengths = [np.linalg.norm(self._linear(end)[0], axis=0) for end in ends]
        self._scale, self._offset = variables[id(norm.gamma)], variables[id(norm.beta)]
        self._mean, self._variance = (
            states[id(v)] for v in (norm.moving_mean, norm.moving_variance)
        )
        self._epsilon = norm.epsilon

    @property
    def numbers(self) -> list[int]:
        """Numbers of what is solved for in the point: kernel, scale and offset."""
        return [self.layer.kernel, self._scale, self._offset]

    def run(self, network: Network) -> None:
        """Pass the layer and the batch norm, see `Network.run`."""
        network.run(self._begin)
        network.run(self._begin + 1)

    def features(self, rows: NDArray) -> NDArray:
        """Rows of features, see `LinearLayer`, with a constant 1 for the offset."""
        if self.layer.bias is not None:
            return rows
        return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)

    def folded(self, network: Network) -> NDArray[np.float64]:
        """The map of both, the offset in its last row.

        Args:
            network: One that is before the layer.
        """
        behind = network.at(network.point, network.state)
        behind.run(self._begin)
        behind.measure(self._begin + 1)
        mean, deviation = self._moments(behind)
        kernel, bias = self._linear(behind)
        factor = _float64(behind.point[self._scale]) / deviation
        offset = _float64(behind.point[self._offset]) + factor * (bias - mean)
        return np.concatenate([factor * kernel, offset[None]])

    def pass_with(self, folded: NDArray[np.float64], network: Network, t: float) -> None:
        """Give a network kernel, scale and offset that make such a map, and pass both.

        For each unit the kernel has a length between those of the ends, and the scale the sign that
        it has in the network: what is on a straight line between two solutions is then near what
        is between their maps. (A length between those of the ends, not that of a kernel between
        theirs, which may cancel: batch norm would make up for any length, but for its epsilon.)
        Units that are to give a constant keep their kernel, and get a scale of 0.

        Args:
            folded: The map.
            network: One that is before the layer.
            t: Position.
        """
        kernel, bias = self._linear(network)
        lengths = (1 - t) * self._lengths[0] + t * self._lengths[1]
        wanted = np.linalg.norm(folded[:-1], axis=0)
        varies = wanted > 0
        found = varies & (lengths > 0)
        factor = np.where(found, lengths / np.where(found, wanted, 1.0), 1.0)
        factor *= np.where(_float64(network.point[self._scale]) < 0, -1.0, 1.0)
        kernel = np.where(varies, factor * folded[:-1], kernel)
        network.set(self.layer.kernel, kernel.reshape(self.layer.layer.kernel.shape))
        # Measured, batch norm is not made yet: its scale and offset may still be set.
        self.run(network)
        mean, deviation = self._moments(network)
        scale = np.where(varies, deviation / factor, 0.0)
        network.set(self._scale, scale)
        network.set(self._offset, folded[-1] + scale * (mean - bias) / deviation)

    def _linear(self, network: Network) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        matrix = self.layer.matrix_at(network.point)
        if self.layer.bias is None:
            return matrix, np.zeros(matrix.shape[1])
        return matrix[:-1], matrix[-1]

    def _moments(self, network: Network) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        variance = _float64(network.state[self._variance])
        return _float64(network.state[self._mean]), np.sqrt(variance + self._epsilon)


def _float64(array: Any) -> NDArray[np.float64]:
    return np.asarray(array, "float64")
