"""Pairs of fully connected networks with hidden layers that no recipe of the zoo has."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import keras

from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import read_population
from mc_keras.zoo.recipes import Recipe, get_recipe

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
) -> dict[str, tuple[keras.Model, keras.Model]]:
    """Train pairs of networks of a recipe at once, from seeds that follow each other.

    They are kept in `directory/<recipe>/<first>-<last>.networks`: what is finished is not trained
    again, what was interrupted goes on after its last whole epoch.

    Args:
        recipe: Of a fully connected network.
        num_pairs: How many pairs.
        directory: Where networks are kept.
        first_seed: The first pair has this seed and the next.
        data_dir: Folder of prepared data sets, as for `load_data`.
        verbose: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        Name of the pair, such as `"seeds0-1"`, to its start and end.

    Raises:
        ValueError: If the file holds other networks, or the training diverged.
        OSError: If the file cannot be written, or another process is training it.
    """
    seeds = range(first_seed, first_seed + 2 * num_pairs)
    file = pathlib.Path(directory) / recipe.name / f"{seeds[0]}-{seeds[-1]}.networks"
    train_population(recipe, seeds, file, data_dir=data_dir, verbose=verbose)
    networks = read_population(file).networks
    return {
        f"seeds{seeds[i]}-{seeds[i + 1]}": (networks[i], networks[i + 1])
        for i in range(0, len(seeds), 2)
    }
