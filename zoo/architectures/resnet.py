"""Pre-activation residual networks, and the same without skip connections."""

from collections.abc import Sequence

import keras

from mc_keras.zoo.architectures.pixels import pixel_input

_BOTTLENECK_DEPTH = 44  # networks of at least this depth have bottleneck blocks


def preactivation_resnet(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
    depth: int = 20,
    width: int = 16,
    skip: bool = True,
) -> keras.Model:
    """Residual network with batch normalisation and ReLU before each convolution.

    Three stages of `width`, `2 * width` and `4 * width` channels. Depths below 44 have blocks of
    two 3x3 convolutions (depth = 6 n + 2), deeper ones bottlenecks with four times the channels
    at their ends (depth = 9 n + 2). Where shapes change, the shortcut is a 1x1 convolution, so that
    the channels of each stage can be permuted.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: Number of logits.
        pixel_mean: Mean of each channel over the training set, pixels in `[0, 1]`.
        pixel_std: Standard deviation likewise.
        depth: Number of layers on the main branch: 20, 56 and 110 are the usual ones.
        width: Channels of the first stage; 16 in the paper.
        skip: Whether there are skip connections.

    Returns:
        Model from `uint8` images to logits, shape `(batch, num_classes)`.

    Raises:
        ValueError: If there is no network of this depth.

    Reference:
        He et al., 2016, https://arxiv.org/abs/1603.05027, as in
        https://github.com/timgaripov/dnn-mode-connectivity; without skip connections:
        Li et al., 2018, https://arxiv.org/abs/1712.09913
    """
    bottleneck = depth >= _BOTTLENECK_DEPTH
    layers_per_size = 9 if bottleneck else 6
    if depth < 8 or (depth - 2) % layers_per_size:
        raise ValueError(
            "The depth of a residual network is 6 n + 2 below 44 (8, 14, 20, 26, 32, 38) and "
            f"9 n + 2 from 44 on (47, 56, 110, 164, ...). Received: depth={depth}"
        )
    images, x = pixel_input(input_shape, pixel_mean, pixel_std)
    x = _convolution(width, 3, 1, "stem")(x)
    for stage in range(3):
        for block in range((depth - 2) // layers_per_size):
            x = _block(
                x,
                channels=width * 2**stage,
                strides=2 if stage > 0 and block == 0 else 1,
                bottleneck=bottleneck,
                skip=skip,
                name=f"stage{stage + 1}_block{block + 1}",
            )
    x = _normalised_relu(x, "head")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="preactivation_resnet")


def _block(
    x: keras.KerasTensor, *, channels: int, strides: int, bottleneck: bool, skip: bool, name: str
) -> keras.KerasTensor:
    """One residual block: `x + branch(x)`, or `branch(x)` alone without `skip`."""
    convolutions: tuple[tuple[int, int, int], ...]  # filters, kernel size, strides
    if bottleneck:
        convolutions = ((channels, 1, 1), (channels, 3, strides), (4 * channels, 1, 1))
    else:
        convolutions = ((channels, 3, strides), (channels, 3, 1))
    branch = x
    for i, (filters, size, step) in enumerate(convolutions, start=1):
        branch = _normalised_relu(branch, f"{name}_{i}")
        branch = _convolution(filters, size, step, f"{name}_{i}_conv")(branch)
    if not skip:
        return branch
    shortcut = x
    if x.shape[-1] != branch.shape[-1] or strides != 1:
        shortcut = _convolution(branch.shape[-1], 1, strides, f"{name}_shortcut")(x)
    return keras.layers.Add(name=f"{name}_add")([shortcut, branch])


def _normalised_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _convolution(filters: int, size: int, strides: int, name: str) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False, name=name
    )
