"""Rows in memory and in a file are the same rows."""

import ml_dtypes
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mc_keras.adjustment.kept_blocks import KeptBlocks


@given(
    sizes=st.lists(st.integers(0, 7), max_size=6),
    limit=st.integers(0, 300),
    dtype=st.sampled_from(["float32", "float64", ml_dtypes.bfloat16]),
    order=st.randoms(use_true_random=False),
)
def test_blocks_come_back_in_any_order(sizes, limit, dtype, order):
    rng = np.random.default_rng(len(sizes))
    blocks = [rng.normal(size=(size, 3)).astype(dtype) for size in sizes]
    kept = KeptBlocks(iter(blocks), limit)
    assert len(kept) == len(blocks)
    assert kept.nbytes <= limit
    if sum(block.nbytes for block in blocks) <= limit:
        assert kept.nbytes == sum(block.nbytes for block in blocks)
    numbers = list(range(len(blocks))) * 2
    order.shuffle(numbers)
    for number in numbers:
        np.testing.assert_array_equal(kept[number], blocks[number])
    for found, block in zip(kept, blocks, strict=True):
        np.testing.assert_array_equal(found, block)
        assert found.dtype == dtype


def test_a_part_of_an_array_does_not_keep_the_whole():
    whole = np.zeros((4, 3))
    kept = KeptBlocks([whole[1:], whole], limit=1000)
    assert not np.shares_memory(kept[0], whole)
    assert kept[1] is whole
