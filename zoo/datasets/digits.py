"""The handwritten digits of scikit-learn as a tensorflow-datasets builder.

Importing this file registers `digits` with tensorflow-datasets. It is made from the copy that
scikit-learn carries: nothing is downloaded.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import sklearn.datasets
import tensorflow_datasets as tfds

_GREY_LEVELS = 16
_TEST_EVERY = 5


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,797 images of 8x8 pixels.

    The grey levels 0 to 16 become 0 to 255 (rounded). Of every class, each fifth image in the
    order of scikit-learn's file is a test image: 1,442 train and 355 test images, with the classes
    in the same proportion.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Handwritten digits of 8x8 pixels: the test part of the Optical Recognition of "
                "Handwritten Digits data set, as scikit-learn carries it."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80",
            license="CC BY 4.0",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        images, labels = sklearn.datasets.load_digits(return_X_y=True)
        images = np.rint(images * (255 / _GREY_LEVELS)).astype("uint8").reshape(-1, 8, 8, 1)
        rank_in_class = np.zeros(len(labels), int)
        for label in range(10):
            members = np.flatnonzero(labels == label)
            rank_in_class[members] = np.arange(len(members))
        test = rank_in_class % _TEST_EVERY == _TEST_EVERY - 1
        return {
            "train": self._generate_examples(images[~test], labels[~test]),
            "test": self._generate_examples(images[test], labels[test]),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": image, "label": int(label)}
