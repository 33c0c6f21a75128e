"""Populations, many networks that differ in their seed only: loaded, read from their file."""

import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from mc_keras import storage
from mc_keras.cloning import clone
from mc_keras.zoo import download
from mc_keras.zoo.architectures import build
from mc_keras.zoo.entries import Architecture
from mc_keras.zoo.manifest import manifest_of

FORMAT = "mc_keras.population"
FORMAT_VERSION = 1


class Population(NamedTuple):
    """Networks of one recipe.

    Attributes:
        networks: The networks, in the order of `info["seeds"]`.
        info: How they were made, and what was measured on each.
    """

    networks: list[keras.Model]
    info: dict[str, Any]


def load_population(
    name: str, source: str | os.PathLike[str] | None = None, *, verbose: int = 1
) -> Population:
    """Loads a population of the zoo, downloading what is not there.

    Args:
        name: Its name in the manifest, such as `"fc_mnist_10-25"`.
        source: A folder or base URL to take the file from, as for `load_pair`.
        verbose: 1 shows a progress bar while downloading, 0 nothing.

    Returns:
        The networks, and what their file says of them.

    Raises:
        ValueError: If there is no such population, or its file is missing, truncated or altered.
        OSError: If the file must be downloaded and the cache cannot be written.
    """
    manifest = manifest_of(source)
    entry = manifest.population(name)
    file = download.fetch(entry, "networks", source, base_urls=manifest.base_urls, verbose=verbose)
    return read_population(file)


def read_population(file: str | os.PathLike[str]) -> Population:
    """Reads the networks that `train_population` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, altered or something else.
    """
    header, arrays = _read(pathlib.Path(file))
    recipe = header["recipe"]
    network = build(
        recipe["architecture"], header["input_shape"], header["num_classes"], **recipe["config"]
    )
    stacks = [arrays[str(index)] for index in range(len(arrays))]
    networks = []
    for index in range(len(header["seeds"])):
        networks.append(clone(network))
        networks[-1].set_weights([stack[index].astype("float32") for stack in stacks])
    return Population(networks, header)


def architecture_of_population(header: Mapping[str, Any]) -> Architecture:
    """The architecture of the networks of a file, from what `read_header` says of them."""
    recipe = header["recipe"]
    return Architecture(
        recipe["architecture"],
        tuple(header["input_shape"]),
        header["num_classes"],
        recipe["config"],
    )


def read_header(file: str | os.PathLike[str]) -> dict[str, Any]:
    """What the file of a population says of its networks; the file is read and verified as a whole.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, altered or something else.
    """
    return _read(pathlib.Path(file))[0]


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean, lowest and highest accuracy of networks on both splits.

    Args:
        metrics: Of each network, its accuracy on each split.

    Returns:
        Number by metric, in the order of `mc_keras.zoo.entries.POPULATION_METRICS`.
    """
    numbers = {}
    for split in ("train", "test"):
        accuracies = [of_one[f"{split}_accuracy"] for of_one in metrics]
        numbers[f"{split}_mean_accuracy"] = float(np.mean(accuracies))
        numbers[f"{split}_lowest_accuracy"] = min(accuracies)
        numbers[f"{split}_highest_accuracy"] = max(accuracies)
    return numbers


def check_recipe(what: str, info: Mapping[str, Any], recipe: str) -> None:
    """Raises ValueError unless networks are of a recipe.

    Args:
        what: What has the networks, such as the name of their file.
        info: How they were made, see `Population`.
        recipe: Name of the recipe that they must be of.
    """
    name = info["recipe"]["name"]
    if name != recipe:
        raise ValueError(
            f"{what} has networks of the recipe {name!r}, not of {recipe!r}; name a file of such "
            "networks."
        )


def check_held_out(what: str, seeds: Sequence[int], taught: Collection[int]) -> None:
    """Raises ValueError unless networks are pairs outside of those a connection is learned from.

    Args:
        what: What has the networks, such as the name of their file.
        seeds: Their seeds.
        taught: Seeds of the networks that it is learned from.
    """
    if len(seeds) % 2:
        raise ValueError(
            f"Pairs need an even number of networks, {what} has {len(seeds)}; train another one "
            "with mc-train --count."
        )
    if both := sorted(set(seeds) & set(taught)):
        raise ValueError(
            f"{what} has networks that the connection model is trained on, of the seeds "
            f"{', '.join(map(str, both))}; hold out other networks."
        )


def _read(file: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    header, arrays = storage.read_archive(file, "file of networks")
    if header.get("format") != FORMAT or header["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{file} holds {header.get('format')!r} of format {header.get('format_version')}, not "
            f"networks of format {FORMAT_VERSION} or earlier; make it with mc-train --count."
        )
    return header, arrays
