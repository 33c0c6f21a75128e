"""Whether an entry is what the manifest says: files, networks, accuracies and losses."""

import dataclasses
import os

import keras
import numpy as np

from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.manifest import METRICS, ROLES
from mc_keras.zoo.pairs import load_pair

# Another machine rounds differently: an image at a decision boundary may change sides.
ACCURACY_TOLERANCE = 5e-4
TOLERATED_IMAGES = 1
LOSS_TOLERANCE = 1e-3  # relative, for losses above LOSS_SCALE
LOSS_SCALE = 0.01  # nats


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One measured number beside the manifest's.

    Attributes:
        role: `"start"` or `"end"`.
        metric: One of `mc_keras.zoo.manifest.METRICS`.
        expected: The manifest's number.
        measured: The number measured now.
        tolerance: How far they may be apart.
    """

    role: str
    metric: str
    expected: float
    measured: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the measured number is within the tolerance; NaN never is."""
        return abs(self.measured - self.expected) <= self.tolerance


def verify(
    name: str,
    source: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> list[Comparison]:
    """Checks the files of an entry, rebuilds its networks and evaluates them again.

    Args:
        name: Name of the pair.
        source: As for `load_pair`.
        data_dir: As for `load_data`.

    Returns:
        Every number of the manifest beside the one measured now.

    Raises:
        ValueError: If there is no such pair, or its files are missing, truncated or altered.

    Example:
    >>> all(comparison.agrees for comparison in verify("fc_digits"))
    True
    """
    pair = load_pair(name, source)
    data = load_data(pair.info.dataset, data_dir)
    networks = {"start": pair.start, "end": pair.end}
    comparisons = []
    for role in ROLES:
        measured = measure(networks[role], data)
        for metric in METRICS:
            expected = pair.info.metrics[role][metric]
            tolerance = _tolerance(metric, expected, data)
            comparisons.append(Comparison(role, metric, expected, measured[metric], tolerance))
    return comparisons


def measure(model: keras.Model, data: DataSet) -> dict[str, float]:
    """Accuracy (a fraction) and mean loss (nats per example) on both splits.

    Args:
        model: Network from images to logits.
        data: Training and test split; labels are integers.

    Returns:
        Number by metric, in the order of `mc_keras.zoo.manifest.METRICS`.
    """
    numbers = {}
    for split, (x, y) in data._asdict().items():
        logits = model.predict(x, batch_size=256, verbose=0)
        loss = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        numbers[f"{split}_accuracy"] = float(np.mean(np.argmax(logits, -1) == y))
        numbers[f"{split}_loss"] = float(np.mean(keras.ops.convert_to_numpy(loss), dtype="float64"))
    return {metric: numbers[metric] for metric in METRICS}


def _tolerance(metric: str, expected: float, data: DataSet) -> float:
    split, _, kind = metric.partition("_")
    if kind == "loss":
        return LOSS_TOLERANCE * max(expected, LOSS_SCALE)
    num_images = len(getattr(data, split)[1])
    # A little more than whole images, as fractions are rounded.
    return max(ACCURACY_TOLERANCE, (TOLERATED_IMAGES + 0.01) / num_images)
