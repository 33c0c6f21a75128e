"""VGG networks."""

from collections.abc import Sequence

import keras

from mc_keras.zoo.architectures.pixels import pixel_input

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
    stages: Sequence[Sequence[int]] = VGG16_STAGES,
    hidden: Sequence[int] = (512, 512),
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> keras.Model:
    """3x3 convolutions in stages that each end with 2x2 max pooling, then dense layers.

    The default is the VGG16 for CIFAR of Garipov et al.: 13 convolutions, two dense layers of
    512 units and the logits. Height and width are halved by each stage.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: Number of logits.
        pixel_mean: Mean of each channel over the training set, pixels in `[0, 1]`.
        pixel_std: Standard deviation likewise.
        stages: Filters of each convolution of each stage.
        hidden: Units of each hidden dense layer.
        batch_norm: Whether each convolution is followed by batch normalisation.
        dropout: Fraction dropped before each hidden dense layer; Garipov et al. have 0.5.

    Returns:
        Model from `uint8` images to logits, shape `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small for so many stages.

    Reference:
        Garipov et al., 2018, https://arxiv.org/abs/1802.10026
    """
    smallest = 2 ** len(stages)
    if min(input_shape[:2]) < smallest:
        raise ValueError(
            f"{len(stages)} stages halve the images {len(stages)} times: they need at least "
            f"{smallest}x{smallest} pixels. Received: input_shape={tuple(input_shape)}. "
            "Give fewer `stages`."
        )
    images, x = pixel_input(input_shape, pixel_mean, pixel_std)
    for i, stage in enumerate(stages, start=1):
        for j, channels in enumerate(stage, start=1):
            x = keras.layers.Conv2D(channels, 3, padding="same", name=f"conv{i}_{j}")(x)
            if batch_norm:
                x = keras.layers.BatchNormalization(
                    momentum=0.9, epsilon=1e-5, name=f"norm{i}_{j}"
                )(x)
            x = keras.layers.ReLU(name=f"relu{i}_{j}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{i}")(x)
        x = keras.layers.Dense(units, activation="relu", name=f"dense{i}")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="vgg")
