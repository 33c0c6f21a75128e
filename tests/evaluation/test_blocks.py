import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from mc_keras.evaluation.blocks import blocks_of, even_rows


@given(st.integers(1, 500), st.lists(st.integers(1, 2000), min_size=1, max_size=3))
def test_rows_divide_the_splits_or_are_as_many_as_allowed(rows, sizes):
    found = even_rows(rows, sizes)
    allowed = min(rows, max(sizes))
    assert allowed / 2 < found <= allowed
    assert found == allowed or all(size % found == 0 for size in sizes)


def test_blocks_hold_every_example_once_in_order():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    blocks = blocks_of({"test": (x, y)}, 4, lambda a: a + 1)["test"]
    assert [len(block.y) for block in blocks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([block.x for block in blocks]), x + 1)
    np.testing.assert_array_equal(np.concatenate([block.y for block in blocks]), y)
