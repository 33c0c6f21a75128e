"""Splits in memory, as blocks of tensors: what does not depend on the path is computed once."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mc_keras.evaluation.buffers import as_tensor


class Block(NamedTuple):
    """Some examples of a split: inputs after the weight-free part of the network, and targets."""

    x: Any
    y: Any


def blocks_of(
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]], rows: int, prefix: Callable[[Any], Any]
) -> dict[str, list[Block]]:
    """Splits of data as blocks of at most `rows` examples.

    Args:
        splits: Split name to `(x, y)`.
        rows: Examples in a full block.
        prefix: What the network does to its inputs before its first weights.
    """
    prepare = tf.function(prefix, reduce_retracing=True, autograph=False)
    return {
        name: [
            Block(prepare(as_tensor(x[i : i + rows])), as_tensor(y[i : i + rows]))
            for i in range(0, len(x), rows)
        ]
        for name, (x, y) in splits.items()
    }


def even_rows(rows: int, sizes: list[int]) -> int:
    """The number nearest below `rows` that divides all sizes, if it is not below half of it."""
    rows = min(rows, max(sizes))
    for candidate in range(rows, rows // 2, -1):
        if all(size % candidate == 0 for size in sizes):
            return candidate
    return rows
