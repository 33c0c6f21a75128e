"""Whether this machine computes in bfloat16 at speed."""

import functools
import sys
import time

import keras
import numpy as np

MIXED = "mixed_bfloat16"
# Where there is bfloat16 arithmetic it is about as fast as float32, or faster; where there is none,
# convolutions took ten to thirty times as long.
_TOLERATED = 2.0


def policy_here(policy: str, *, verbose: int = 1) -> str:
    """The dtype policy to train with on this machine where a recipe has `policy`.

    Args:
        policy: Name of a Keras dtype policy.
        verbose: Whether a line on stderr says so if it is another one.

    Returns:
        `policy`; but `"float32"` for `"mixed_bfloat16"` where that is much slower.
    """
    if policy != MIXED or slowdown_of_bfloat16() < _TOLERATED:
        return policy
    if verbose:
        print(
            f"This machine takes {slowdown_of_bfloat16():.0f} times as long for a convolution in "
            "bfloat16 as in float32: the training is in float32.",
            file=sys.stderr,
            flush=True,
        )
    return "float32"


@functools.cache
def slowdown_of_bfloat16() -> float:
    """How many times longer a small convolution's training step takes in bfloat16 than in float32.

    Measured once, in a few seconds; below 1 where bfloat16 is faster.
    """
    return _seconds(MIXED) / _seconds("float32")


def _seconds(policy: str) -> float:
    """The least time of a few steps: what else runs on the machine only adds to it."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 64)),
            keras.layers.Conv2D(64, 3, padding="same", dtype=policy),
            keras.layers.Conv2D(64, 3, padding="same", dtype=policy),
        ]
    )
    model.compile("sgd", "mse")
    x = np.zeros((16, 16, 16, 64), "float32")
    y = np.zeros_like(x)
    model.train_on_batch(x, y)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        model.train_on_batch(x, y)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
