"""Architectures of the zoo, by name.

Every one takes raw `uint8` images (normalisation is its first layer) and gives logits.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import keras

from mc_keras.zoo.architectures.conv2fc1 import conv2fc1
from mc_keras.zoo.architectures.fc import fully_connected
from mc_keras.zoo.architectures.initialization import initialize as initialize
from mc_keras.zoo.architectures.resnet import preactivation_resnet
from mc_keras.zoo.architectures.vgg import vgg

BUILDERS = {
    "conv2fc1": conv2fc1,
    "fully_connected": fully_connected,
    "preactivation_resnet": preactivation_resnet,
    "vgg": vgg,
}


def build(name: str, input_shape: Sequence[int], num_classes: int, **config: Any) -> keras.Model:
    """Builds an architecture with fresh weights.

    Args:
        name: A key of `BUILDERS`.
        input_shape: Height, width and channels of one image.
        num_classes: Number of logits.
        **config: The other arguments of the architecture's function.

    Returns:
        Functional model from `uint8` images to logits, shape `(batch, num_classes)`.

    Raises:
        ValueError: If there is no such architecture, or it cannot have this configuration.

    Example:
    >>> model = build("fully_connected", (8, 8, 1), 10, pixel_mean=[0.3], pixel_std=[0.4])
    >>> model.output_shape
    (None, 10)
    """
    if name not in BUILDERS:
        nearest = difflib.get_close_matches(str(name), BUILDERS, n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(
            f"There is no architecture {name!r}. {hint}There are: {', '.join(sorted(BUILDERS))}."
        )
    try:
        return BUILDERS[name](input_shape, num_classes, **config)
    except TypeError as error:
        raise ValueError(f"Architecture {name!r} cannot be built: {error}.") from error
