"""Pairs of fully connected networks with hidden layers that no recipe of the zoo has."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

import keras

from mc_keras.locks import LOCK, locked
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import read_header, read_population
from mc_keras.zoo.recipes import Recipe, get_recipe

Pairs = dict[str, tuple[keras.Model, keras.Model]]

_ONE_LAYER = {"digits": "fc1_digits", "mnist": "fc_mnist", "cifar10": "fc_cifar10"}


def one_layer_recipe(dataset: str, *, epochs: int | None = None) -> Recipe:
    """The zoo's recipe of a fully connected network with one hidden layer.

    Args:
        dataset: `"digits"`, `"mnist"` or `"cifar10"`.
        epochs: Instead of the recipe's number.
    """
    recipe = get_recipe(_ONE_LAYER[dataset])
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def with_hidden(recipe: Recipe, hidden: Sequence[int]) -> Recipe:
    """The same recipe for other hidden layers, which become a part of its name.

    Args:
        recipe: Of a fully connected network.
        hidden: Units of each hidden layer.

    Example:
    >>> with_hidden(get_recipe("fc1_digits"), (250, 250)).name
    'fc1_digits_250-250'
    """
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}_{'-'.join(map(str, hidden))}",
        config={**recipe.config, "hidden": tuple(hidden)},
    )


def train_pairs(
    recipe: Recipe,
    num_pairs: int,
    directory: str | os.PathLike[str],
    *,
    first_seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> Pairs:
    """Train pairs of networks of a recipe, from seeds that follow each other.

    They are trained at once, and kept in
    `directory/<recipe>/<first>-<last>_<epochs>-epochs.networks`. Networks that are in some file
    there are not trained again; what was interrupted goes on after its last whole epoch. Of several
    processes one trains, and the others wait for it.

    Args:
        recipe: Of a fully connected network.
        num_pairs: How many pairs.
        directory: Where networks are kept.
        first_seed: The first pair has this seed and the next.
        data_dir: Folder of prepared data sets, as for `load_data`.
        verbose: 0 silent, 1 progress bar, in a log as 2, 2 one line per epoch.

    Returns:
        Name of the pair, such as `"seeds0-1"`, to its start and end.

    Raises:
        ValueError: If a file holds other networks or is damaged, or the training diverged.
        OSError: If a file cannot be written.
    """
    seeds = range(first_seed, first_seed + 2 * num_pairs)
    folder = pathlib.Path(directory) / recipe.name
    with locked(folder / LOCK, f"trains networks in {folder}"):
        kept = _networks(recipe, folder, seeds)
        for missing in _runs_of([seed for seed in seeds if seed not in kept]):
            name = f"{missing[0]}-{missing[-1]}_{recipe.epochs}-epochs.networks"
            train_population(recipe, missing, folder / name, data_dir=data_dir, verbose=verbose)
            kept |= zip(missing, read_population(folder / name).networks, strict=True)
    return _pairs(kept, seeds)


def kept_pairs(
    recipe: Recipe,
    num_pairs: int,
    directory: str | os.PathLike[str],
    *,
    first_seed: int = 0,
) -> Pairs | None:
    """The pairs that `train_pairs` would give without training; `None` if it would have to train.

    Args:
        recipe: Of a fully connected network.
        num_pairs: How many pairs.
        directory: Where networks are kept.
        first_seed: The first pair has this seed and the next.
    """
    seeds = range(first_seed, first_seed + 2 * num_pairs)
    try:
        kept = _networks(recipe, pathlib.Path(directory) / recipe.name, seeds)
    except ValueError:
        return None  # a damaged file, which only those who need its networks must know of
    return _pairs(kept, seeds) if len(kept) == len(seeds) else None


def _networks(recipe: Recipe, folder: pathlib.Path, seeds: range) -> dict[int, keras.Model]:
    """Seed to network of those that are in files of the recipe."""
    wanted = json.loads(json.dumps(recipe.describe()))
    found: dict[int, keras.Model] = {}
    for file in sorted(folder.glob("*.networks")):
        header = read_header(file)
        if header["recipe"] == wanted and set(header["seeds"]) & set(seeds):
            found = dict(zip(header["seeds"], read_population(file).networks, strict=True)) | found
    return {seed: found[seed] for seed in seeds if seed in found}


def _runs_of(seeds: Sequence[int]) -> list[list[int]]:
    """Seeds that follow each other, for the name of a file to tell them."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and runs[-1][-1] == seed - 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return runs


def _pairs(networks: dict[int, keras.Model], seeds: range) -> Pairs:
    return {f"seeds{a}-{a + 1}": (networks[a], networks[a + 1]) for a in seeds[::2]}
