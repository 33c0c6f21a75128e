"""Arrays that TensorFlow reads where they are, instead of copies of its own."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes; tensors on a CPU begin at such multiples


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros of which `as_tensor` makes no copy."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    room = np.zeros(size + _ALIGNMENT, "uint8")
    begin = -room.ctypes.data % _ALIGNMENT
    return room[begin : begin + size].view(dtype).reshape(shape)


def as_tensor(array: np.ndarray) -> Any:
    """A tensor of what is in an array, which must not be changed any more.

    `tf.constant` would copy the array, and once more what is not aligned; its memory would stay
    with TensorFlow.
    """
    return tf.raw_ops.Identity(input=array)
