"""Whether an entry is what the manifest says: its files, and what they were measured to be."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from mc_keras.cloning import clone
from mc_keras.evaluation import evaluate_path
from mc_keras.flows import Flow, TransportedPath, check_fits, rows_layout
from mc_keras.weight_space import WeightSpace
from mc_keras.zoo.card import card_of
from mc_keras.zoo.connections import load_connection
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.download import NotHereError
from mc_keras.zoo.entries import (
    CONNECTION_METRICS,
    METRICS,
    POPULATION_METRICS,
    ROLES,
    AnyEntry,
    ConnectionEntry,
    Entry,
    PopulationEntry,
)
from mc_keras.zoo.manifest import CARD_NAME, folder_of, manifest_of
from mc_keras.zoo.pairs import load_pair
from mc_keras.zoo.populations import load_population, summary

# Another machine rounds differently: an image at a decision boundary may change sides.
ACCURACY_TOLERANCE = 5e-4
TOLERATED_IMAGES = 1
LOSS_TOLERANCE = 1e-3  # relative, for losses above LOSS_SCALE
LOSS_SCALE = 0.01  # nats


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One measured number beside the manifest's.

    Attributes:
        role: `"start"`, `"end"`, `"path"` for the path that a connection model gives, or
            `"networks"` for those of a population.
        metric: One of `METRICS` in `mc_keras.zoo.entries`, of a path one of `CONNECTION_METRICS`,
            of a population one of `POPULATION_METRICS`.
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
    """Checks the files of an entry, rebuilds what they hold and evaluates it again.

    A connection model is evaluated on the path between the two networks of the zoo's own pair of
    its recipe; the pairs that were held out of its training are not in the zoo.

    Args:
        name: Name of the entry.
        source: As for `load_pair`.
        data_dir: As for `load_data`.

    Returns:
        Every number of the manifest that can be measured again, beside the one measured now. None
        for a connection model where the pair that it was measured on is not here.

    Raises:
        NotHereError: If no place has the files of the entry.
        ValueError: If there is no such entry, its files are missing, truncated or altered, or a
            network of the sizes that the manifest gives does not fit into memory.

    Example:
    >>> all(comparison.agrees for comparison in verify("fc_digits"))
    True
    """
    entry = manifest_of(source).find(name)
    try:
        return _VERIFICATIONS[type(entry)](name, source, data_dir)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ValueError(
            f"Networks as the manifest describes {name!r} do not fit into memory: "
            f"{entry.architecture.config}."
        ) from error


def card_agrees(name: str, source: str | os.PathLike[str] | None = None) -> bool:
    """Whether the card of an entry, its README.md, says what the manifest says.

    Args:
        name: Name of the entry.
        source: As for `load_pair`.

    Returns:
        False if a zoo folder has another card, or none; True for a server: nobody reads its cards.

    Raises:
        ValueError: If there is no such entry.
    """
    entry, folder = manifest_of(source).find(name), folder_of(source)
    if folder is None:
        return True
    card = folder / name / CARD_NAME
    return card.is_file() and card.read_text("utf-8", errors="replace") == card_of(entry)


def measure(model: keras.Model, data: DataSet) -> dict[str, float]:
    """Accuracy (a fraction) and mean loss (nats per example) on both splits.

    Args:
        model: Network from images to logits.
        data: Training and test split; labels are integers.

    Returns:
        Number by metric, in the order of `mc_keras.zoo.entries.METRICS`.
    """
    numbers = {}
    for split, (x, y) in data._asdict().items():
        logits = model.predict(x, batch_size=256, verbose=0)
        loss = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        numbers[f"{split}_accuracy"] = float(np.mean(np.argmax(logits, -1) == y))
        numbers[f"{split}_loss"] = float(np.mean(keras.ops.convert_to_numpy(loss), dtype="float64"))
    return {metric: numbers[metric] for metric in METRICS}


def measure_connection(
    flow: Flow, start: keras.Model, end: keras.Model, data: DataSet, *, num_points: int = 9
) -> dict[str, float]:
    """Worst accuracies and losses on the path that a flow gives between two networks.

    Args:
        flow: The connection model.
        start: The network at t = 0.
        end: The network at t = 1.
        data: Training and test split; labels are integers.
        num_points: Positions on the path, both ends included.

    Returns:
        Number by metric, in the order of `mc_keras.zoo.entries.CONNECTION_METRICS`.

    Raises:
        ValueError: If the flow was made for other networks.
    """
    check_fits(flow, start)
    a, b, space = WeightSpace(start), WeightSpace(end), WeightSpace(clone(start))
    path = TransportedPath(
        space,
        (a.read(), b.read()),
        flow,
        rows_layout(space).axes,
        states=(a.read_state(), b.read_state()),
    )
    report = evaluate_path(path, data, num_points, verbose=0)
    return {metric: report.worst(metric.replace("_worst_", "_")) for metric in CONNECTION_METRICS}


def _verify_pair(
    name: str,
    source: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str] | None,
) -> list[Comparison]:
    pair = load_pair(name, source)
    data = load_data(pair.info.dataset, data_dir)
    networks = {"start": pair.start, "end": pair.end}
    comparisons = []
    for role in ROLES:
        measured = measure(networks[role], data)
        comparisons += _compared(role, METRICS, pair.info.metrics[role], measured, data)
    return comparisons


def _verify_connection(
    name: str,
    source: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str] | None,
) -> list[Comparison]:
    manifest = manifest_of(source)
    entry = manifest.connections[name]
    flow = load_connection(name, source)
    pair_entry = manifest.entries.get(entry.recipe)
    if pair_entry is None or pair_entry.digests != entry.pair_digests:
        return []
    try:
        pair = load_pair(entry.recipe, source)
    except NotHereError:
        return []
    data = load_data(entry.dataset, data_dir)
    measured = measure_connection(flow, pair.start, pair.end, data)
    return _compared("path", entry.pair_metrics, entry.pair_metrics, measured, data)


def _verify_population(
    name: str,
    source: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str] | None,
) -> list[Comparison]:
    entry = manifest_of(source).population(name)
    networks = load_population(name, source).networks
    data = load_data(entry.dataset, data_dir)
    measured = summary([measure(network, data) for network in networks])
    return _compared("networks", POPULATION_METRICS, entry.metrics, measured, data)


_VERIFICATIONS: dict[type[AnyEntry], Callable[..., list[Comparison]]] = {
    Entry: _verify_pair,
    ConnectionEntry: _verify_connection,
    PopulationEntry: _verify_population,
}


def _compared(
    role: str,
    metrics: Iterable[str],
    expected: Mapping[str, float],
    measured: Mapping[str, float],
    data: DataSet,
) -> list[Comparison]:
    return [
        Comparison(
            role,
            metric,
            expected[metric],
            measured[metric],
            _tolerance(metric, expected[metric], data),
        )
        for metric in metrics
    ]


def _tolerance(metric: str, expected: float, data: DataSet) -> float:
    split = metric.partition("_")[0]
    if metric.endswith("_loss"):
        return LOSS_TOLERANCE * max(expected, LOSS_SCALE)
    num_images = len(getattr(data, split)[1])
    # A little more than whole images, as fractions are rounded.
    return max(ACCURACY_TOLERANCE, (TOLERATED_IMAGES + 0.01) / num_images)
