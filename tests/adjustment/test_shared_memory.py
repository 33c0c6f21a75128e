"""Arrays and tensors in the same memory."""

import gc

import numpy as np
import pytest

from mc_keras.adjustment.shared_memory import copy_of, tensor_of


def shares(array):
    """Whether a tensor sees what is written into the array that it was made from."""
    tensor = tensor_of(array)
    np.testing.assert_array_equal(np.asarray(tensor), array)
    if not array.flags.writeable:
        return False
    array += 1
    return bool((np.asarray(tensor) == array).all())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 3, 4, 5)])
def test_arrays_made_for_it_are_not_copied(shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    copy = copy_of(values)
    np.testing.assert_array_equal(copy, values)
    assert copy.dtype == dtype
    assert shares(copy)


def test_all_others_are_copied():
    """Such as TensorFlow would stop the process at, or cannot hold."""
    array = copy_of(np.arange(60.0).reshape(6, 10))
    read_only = copy_of(array)
    read_only.flags.writeable = False
    others = [array[1:], array[:, 1:], array.T, read_only, array.astype("int32"), array[:0]]
    for other in others[:-1]:
        assert not shares(other)
    assert tensor_of(others[-1]).shape == (0, 10)
    assert tensor_of(np.array(["a", "b"])).dtype == "string"


def test_a_tensor_keeps_the_memory():
    tensor = tensor_of(copy_of(np.full((1000, 1000), 3.0, "float32")))
    gc.collect()
    full = [copy_of(np.full((1000, 1000), 7.0, "float32")) for _ in range(5)]
    assert np.asarray(tensor).sum() == 3e6
    assert len(full) == 5
