"""Training batches: shuffled, augmented, and the same whenever an epoch is repeated."""

from typing import Literal

import keras
import numpy as np

# What is beyond the edge, as numpy.pad has it, and how many pixels of it.
_BORDERS: dict[str, tuple[Literal["constant", "reflect"], int]] = {
    "crop_flip": ("constant", 4),
    "mirror_crop_flip": ("reflect", 4),
    "small_mirror_crop_flip": ("reflect", 2),
}


AUGMENTATIONS = ("none", *_BORDERS)


class Batches(keras.utils.PyDataset):
    """Batches of one training split.

    Order and augmentation depend on `seed`, `epoch` and the number of the batch only, so a run that
    is resumed at an epoch sees what it would have seen. Works under every Keras backend.

    Args:
        x: Images, `uint8`, shape `(n, height, width, channels)`.
        y: Labels, shape `(n,)`.
        batch_size: Images in a batch; the last one of an epoch may be smaller.
        augmentation: `"none"`, `"crop_flip"`, `"mirror_crop_flip"` or
            `"small_mirror_crop_flip"`, see `mc_keras.zoo.recipes.Recipe`.
        seed: Non-negative integer.

    Attributes:
        epoch: Set it before each epoch.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        batch_size: int,
        augmentation: str = "none",
        seed: int = 0,
    ):
        super().__init__()
        if augmentation not in AUGMENTATIONS:
            *names, last = AUGMENTATIONS
            raise ValueError(
                f"`augmentation` must be {', '.join(map(repr, names))} or {last!r}. "
                f"Received: {augmentation!r}"
            )
        self._x, self._y = x, y
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch_size)

    @property
    def epoch(self) -> int:
        """Number of the epoch."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._x))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        x = self._x[rows]
        if self._augmentation != "none":
            # From 1: [seed, epoch, 0] would be the stream [seed, epoch] of the epoch's order.
            rng = np.random.default_rng([self._seed, self._epoch, index + 1])
            x = crop_flip(x, rng, *_BORDERS[self._augmentation])
        if x.dtype.kind in "US":  # Keras takes tensors of texts, and no arrays
            x = keras.ops.convert_to_tensor(x, "string")
        return x, self._y[rows]


def crop_flip(
    images: np.ndarray,
    rng: np.random.Generator,
    borders: Literal["constant", "reflect"],
    padding: int,
) -> np.ndarray:
    """Cuts each image at a random place out of itself with borders; mirrors half of them.

    Args:
        images: Shape `(n, height, width, channels)`.
        rng: Source of randomness.
        borders: `"constant"`: black; `"reflect"`: the image mirrored at its edge.
        padding: Width of the borders in pixels.

    Returns:
        Array of the same shape and dtype.
    """
    count, height, width, _ = images.shape
    width_of_borders = (padding, padding)
    padded = np.pad(images, ((0, 0), width_of_borders, width_of_borders, (0, 0)), mode=borders)
    top, left = rng.integers(0, 2 * padding + 1, size=(2, count, 1))
    rows = top + np.arange(height)
    columns = left + np.arange(width)
    mirrored = rng.random(count) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
