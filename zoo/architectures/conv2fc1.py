"""Two convolutions and a dense layer."""

from collections.abc import Sequence

import keras

from mc_keras.zoo.architectures.pixels import pixel_input


def conv2fc1(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
    filters: Sequence[int] = (32, 64),
    batch_norm: bool = False,
) -> keras.Model:
    """5x5 convolutions, each with ReLU and 3x3 max pooling of stride 2, then a dense layer.

    On 32x32 images the default has 7 * 7 * 64 = 3136 features before the dense layer.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: Number of logits.
        pixel_mean: Mean of each channel over the training set, pixels in `[0, 1]`.
        pixel_std: Standard deviation likewise.
        filters: Filters of each convolution.
        batch_norm: Whether each convolution is followed by batch normalisation.

    Returns:
        Model from `uint8` images to logits, shape `(batch, num_classes)`.

    Reference:
        Anokhin and Yarotsky, 2020, https://arxiv.org/abs/2008.00741
    """
    images, x = pixel_input(input_shape, pixel_mean, pixel_std)
    for i, channels in enumerate(filters, start=1):
        x = keras.layers.Conv2D(channels, 5, padding="same", name=f"conv{i}")(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{i}")(x)
        x = keras.layers.ReLU(name=f"relu{i}")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="conv2fc1")
