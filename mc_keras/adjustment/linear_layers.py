"""The linear map inside a dense or convolution layer, as a matrix on rows of features."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.normal_equations import MOST_BYTES, gram_size
from mc_keras.user_warning import warn_user

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


class LinearLayer:
    """A layer `activation(linear(x, kernel) + bias)` whose kernel can be solved for.

    A row of features is what one output position reads: the input of a dense layer, the patch of a
    convolution in the order of its kernel; a constant 1 goes with the bias.

    Args:
        layer: A `Dense` layer or an ordinary convolution, see `is_linear`.
        variables: Number of each Keras variable in the point, by `id`.
        input_shape: Shape of the input without the batch axis.
        positions: Most output positions of one example that are used, drawn at random for each.
        rng: Where they are drawn from.
    """

    def __init__(
        self,
        layer: keras.Layer,
        variables: dict[int, int],
        input_shape: Sequence[int],
        positions: int,
        rng: np.random.Generator,
    ):
        self.layer = layer
        self.kernel = variables[id(layer.kernel)]
        self.bias = None if layer.bias is None else variables[id(layer.bias)]
        # Of what is solved for, and of outputs from which a mixture is made.
        self.dtype = keras.backend.result_type(layer.kernel.dtype, "float32")
        self.num_targets = int(layer.kernel.shape[-1])
        self.num_features = math.prod(layer.kernel.shape[:-1]) + (self.bias is not None)
        self._is_dense = isinstance(layer, keras.layers.Dense)
        self._channels_first = getattr(layer, "data_format", None) == "channels_first"
        shape = tuple(input_shape)
        if self._is_dense:
            self._spatial: tuple[int, ...] = shape[:-1]
        else:
            self._in = shape[1:] if self._channels_first else shape[:-1]
            self._spatial = tuple(
                -(-size // stride)
                if layer.padding == "same"
                else (size - dilation * (width - 1) - 1) // stride + 1
                for size, width, stride, dilation in self._geometry()
            )
        self._positions, self._rng = positions, rng
        self._drawn: dict[int, NDArray[np.int64]] = {}

    @property
    def numbers(self) -> list[int]:
        """Numbers of kernel and bias in the point."""
        return [self.kernel] if self.bias is None else [self.kernel, self.bias]

    def num_rows(self, num_examples: int) -> int:
        """Number of rows that so many examples give."""
        return num_examples * min(math.prod(self._spatial), self._positions)

    def linear(self, x: Any, kernel: Any, bias: Any) -> Any:
        """What the activation is given, for a batch."""
        x = keras.ops.cast(x, kernel.dtype)
        result = (
            keras.ops.matmul(x, kernel) if self._is_dense else self.layer.convolution_op(x, kernel)
        )
        return result if bias is None else result + self.spread(bias)

    def spread(self, bias: Any) -> Any:
        """A bias shaped to be added to the outputs; `None` stays."""
        if bias is None or not self._channels_first:
            return bias
        return keras.ops.reshape(bias, (-1, *[1] * len(self._spatial)))

    def matrix(self, kernel: Any, bias: Any) -> NDArray[np.float64]:
        """Kernel and bias as a new array `(num_features, num_targets)`."""
        flat = np.array(kernel, "float64").reshape(-1, self.num_targets)
        if self.bias is None:
            return flat
        return np.concatenate([flat, np.asarray(bias, "float64")[None]])

    def matrix_at(self, point: Sequence[Any]) -> NDArray[np.float64]:
        """The same of a point of weight space."""
        return self.matrix(point[self.kernel], None if self.bias is None else point[self.bias])

    def arrays(self, matrix: NDArray) -> dict[int, NDArray]:
        """Kernel and bias from such a matrix, by their numbers in the point."""
        shape = tuple(self.layer.kernel.shape)
        if self.bias is None:
            return {self.kernel: matrix.reshape(shape)}
        return {self.kernel: matrix[:-1].reshape(shape), self.bias: matrix[-1]}

    def features(self, x: NDArray, begin: int) -> NDArray:
        """Rows of a block of inputs that begins with example number `begin`."""
        x = np.asarray(x)
        if self._is_dense:
            flat = x.reshape(len(x), -1, x.shape[-1])
            rows = flat[self._index(len(x), begin)].reshape(-1, x.shape[-1])
        else:
            rows = self._patches(np.moveaxis(x, 1, -1) if self._channels_first else x, begin)
        if self.bias is None:
            return rows
        return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)

    def targets(self, outputs: NDArray, begin: int) -> NDArray:
        """Rows of a block of outputs of `linear`, at the same positions."""
        outputs = np.asarray(outputs)
        if self._channels_first:
            outputs = np.moveaxis(outputs, 1, -1)
        flat = outputs.reshape(len(outputs), -1, self.num_targets)
        return flat[self._index(len(outputs), begin)].reshape(-1, self.num_targets)

    def _geometry(self) -> Any:
        layer = self.layer
        return zip(self._in, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)

    def _index(self, size: int, begin: int) -> tuple[NDArray, Any]:
        """Example and flat output position of each row."""
        count = math.prod(self._spatial)
        if count <= self._positions:
            return np.arange(size)[:, None], np.arange(count)[None]
        if begin not in self._drawn:
            keys = self._rng.random((size, count), "float32")
            drawn = np.argpartition(keys, self._positions, axis=1)[:, : self._positions]
            self._drawn[begin] = drawn.astype("int32")
        return np.arange(size)[:, None], self._drawn[begin]

    def _patches(self, x: NDArray, begin: int) -> NDArray:
        index, where = self._index(len(x), begin)
        places = np.unravel_index(where, self._spatial)
        pads, reads = [(0, 0)], []
        for axis, (size, width, stride, dilation) in enumerate(self._geometry()):
            span = dilation * (width - 1) + 1
            needed = max((self._spatial[axis] - 1) * stride + span - size, 0)
            # As TensorFlow pads: the odd pixel goes behind.
            before = needed // 2 if self.layer.padding == "same" else 0
            pads.append((before, needed - before if self.layer.padding == "same" else 0))
            reads.append((places[axis] * stride, dilation * np.arange(width)))
        x = np.pad(x, [*pads, (0, 0)])
        # Axes: example, position, then one for each axis of the kernel.
        rank = len(reads)
        coordinates = [
            start.reshape(*start.shape, *[1] * rank)
            + steps.reshape([-1 if i == axis else 1 for i in range(rank)])
            for axis, (start, steps) in enumerate(reads)
        ]
        rows = x[(index.reshape(*index.shape, *[1] * rank), *coordinates)]
        return rows.reshape(rows.shape[0] * rows.shape[1], -1)


def check_memory(layers: Mapping[str, LinearLayer], num_examples: int) -> None:
    """Check that the Gram matrices of layers, by their names, are of a size that can be held.

    Raises:
        ValueError: If one is not.
    """
    for name, layer in layers.items():
        size = gram_size(layer.num_rows(num_examples), layer.num_features)
        if size <= MOST_BYTES:
            continue
        rows = min(layer.num_features // 2, math.isqrt(MOST_BYTES // 8))
        fewer = num_examples * rows // layer.num_rows(num_examples)
        raise ValueError(
            f"The layer '{name}' has {layer.num_features:,} features: to solve for its weights "
            f"would take {size / 2**30:.0f} GiB for a Gram matrix. Pass num_examples={fewer} or "
            "fewer, for a smaller one, or put pooling in front of it and train again."
        )


def warn_of_few_rows(layers: Mapping[str, LinearLayer], num_examples: int) -> None:
    """Warn where a layer, by its name, has fewer rows to be solved from than features."""
    few = [name for name, a in layers.items() if a.num_rows(num_examples) < a.num_features]
    if not few:
        return
    name = max(few, key=lambda name: layers[name].num_features)
    others = f" (and {len(few) - 1} other layers)" if len(few) > 1 else ""
    warn_user(
        f"The layer '{name}'{others} is solved for from {layers[name].num_rows(num_examples):,} "
        f"rows, fewer than its {layers[name].num_features:,} features: where they say nothing it "
        "stays near the weights that it had. Pass more data."
    )


def is_linear(op: Any) -> bool:
    """Whether an operation is a layer that `LinearLayer` describes."""
    if type(op) is keras.layers.Dense:
        return isinstance(op.kernel, keras.Variable)
    if type(op) not in _CONVOLUTIONS:
        return False
    return (
        op.groups == 1 and op.padding in ("same", "valid") and isinstance(op.kernel, keras.Variable)
    )
