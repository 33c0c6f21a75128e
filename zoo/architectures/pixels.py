"""Raw pixels at the door of every architecture of the zoo."""

from collections.abc import Sequence

import keras
import numpy as np


def pixel_input(
    input_shape: Sequence[int], pixel_mean: Sequence[float], pixel_std: Sequence[float]
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Input of raw images, and the images with mean 0 and variance 1 over the training set.

    Args:
        input_shape: Height, width and channels of one image.
        pixel_mean: Mean of each channel over the training set, with pixels scaled to `[0, 1]`.
        pixel_std: Standard deviation likewise.

    Returns:
        The `uint8` input tensor, shape `(batch, height, width, channels)`, and the normalised
        one of the same shape.

    Raises:
        ValueError: If a shape or a number does not fit.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            "`input_shape` must be (height, width, channels) of one image, all at least 1. "
            f"Received: {tuple(input_shape)}"
        )
    mean, std = np.asarray(pixel_mean, "float64"), np.asarray(pixel_std, "float64")
    if mean.shape != (input_shape[2],) or std.shape != mean.shape or std.min() <= 0:
        raise ValueError(
            f"`pixel_mean` and `pixel_std` > 0 need one number for each of the {input_shape[2]} "
            f"channels. Received: pixel_mean={pixel_mean}, pixel_std={pixel_std}"
        )
    images = keras.Input(tuple(input_shape), dtype="uint8", name="image")
    # In float32 under any dtype policy: bfloat16 would round the pixels' differences away.
    normalise = keras.layers.Rescaling(
        scale=(1 / (255 * std)).tolist(),
        offset=(-mean / std).tolist(),
        dtype="float32",
        name="normalise",
    )
    return images, normalise(images)
