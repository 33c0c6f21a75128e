"""NumPy arrays and TensorFlow tensors in the same memory.

TensorFlow copies every array that it is given, which for activations takes as long as the layer
that reads them.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike, NDArray

# Bytes. The widest vectors; TensorFlow stops the process at memory that is aligned to less.
_ALIGNMENT = 64


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray:
    """A new array, not filled, that `tensor_of` need not copy."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, "uint8")
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def copy_of(array: NDArray) -> NDArray:
    """A copy that `tensor_of` need not copy again."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def tensor_of(array: Any) -> Any:
    """An array as a tensor: in the same memory, if it stands well there, else a copy.

    The array must not be written to any more.
    """
    stands_well = (
        isinstance(array, np.ndarray)
        and array.dtype.kind == "f"
        and array.size > 0
        and array.flags.c_contiguous
        and array.flags.writeable  # else NumPy does not hand it out
        and array.ctypes.data % _ALIGNMENT == 0
    )
    if not stands_well:
        return keras.ops.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
