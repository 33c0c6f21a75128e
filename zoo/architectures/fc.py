"""Fully connected networks."""

from collections.abc import Sequence

import keras

from mc_keras.zoo.architectures.pixels import pixel_input


def fully_connected(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
    hidden: Sequence[int] = (2000,),
    use_bias: bool = True,
) -> keras.Model:
    """Dense layers with ReLU between them.

    `hidden=(2000,)` is the one-hidden-layer network of the paper, `hidden=(6144, 2000)` with
    `use_bias=False` its FC3.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: Number of logits.
        pixel_mean: Mean of each channel over the training set, pixels in `[0, 1]`.
        pixel_std: Standard deviation likewise.
        hidden: Units of each hidden layer.
        use_bias: Whether the layers have biases.

    Returns:
        Model from `uint8` images to logits, shape `(batch, num_classes)`.

    Reference:
        Anokhin and Yarotsky, 2020, https://arxiv.org/abs/2008.00741
    """
    images, x = pixel_input(input_shape, pixel_mean, pixel_std)
    x = keras.layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        x = keras.layers.Dense(units, activation="relu", use_bias=use_bias, name=f"dense{i}")(x)
    logits = keras.layers.Dense(num_classes, use_bias=use_bias, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="fully_connected")
