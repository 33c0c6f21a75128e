"""Populations: many networks that differ in their seed only, trained at once, kept in one file."""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import filelock
import keras
import numpy as np

from mc_keras import storage
from mc_keras.weight_space import clone
from mc_keras.zoo import training
from mc_keras.zoo.batches import Batches
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.packing import SAME_ACCURACY
from mc_keras.zoo.recipes import Recipe, get_recipe
from mc_keras.zoo.stacked import Stack, StackedBatches
from mc_keras.zoo.verification import measure

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


def train_population(
    recipe: str | Recipe,
    seeds: Sequence[int],
    file: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> dict[str, Any]:
    """Train a fully connected network from many seeds, in one program, into one file.

    Each network is what `train` makes of its seed, up to the rounding of its arithmetic: the same
    first weights, order of the data and schedule. An interrupted run goes on after its last whole
    epoch when the same call is made again; a finished one is not repeated. Kernels are stored in
    float16 if that changes no accuracy by more than 0.01 percentage points.

    Args:
        recipe: A recipe of a fully connected network, or its name.
        seeds: Different non-negative integers.
        file: The file to write; its checkpoint lies beside it until it is done.
        epochs: Instead of the recipe's number.
        data_dir: Folder of prepared data sets, as for `load_data`.
        verbose: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        What the file's header says: recipe, seeds, and for each network its accuracy (a fraction)
        and loss (mean nats per example) on both splits.

    Raises:
        ValueError: If the recipe's network is not fully connected, the seeds are not different, the
            training diverged, or the file holds another population.
        OSError: If the file cannot be written.
    """
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"The seeds must be different and not negative, received {seeds}.")
    file = pathlib.Path(file)
    run = json.loads(json.dumps({"recipe": dataclasses.asdict(recipe), "seeds": seeds}))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(f"{file}.lock", blocking=False):
            if file.exists():
                header = _read(file)[0]
                if any(header[key] != value for key, value in run.items()):
                    raise ValueError(
                        f"{file} holds networks of another recipe, other seeds or another number "
                        "of epochs; choose another file."
                    )
                return header
            return _train(recipe, seeds, file, run, load_data(recipe.dataset, data_dir), verbose)
    except filelock.Timeout:
        raise OSError(f"Another process is training {file}; choose another file.") from None


def load_population(file: str | os.PathLike[str]) -> Population:
    """Read the networks that `train_population` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, altered or something else.
    """
    header, arrays = _read(pathlib.Path(file))
    recipe = header["recipe"]
    network = _network(recipe["architecture"], header)
    stacks = [arrays[str(index)] for index in range(len(arrays))]
    networks = []
    for index in range(len(header["seeds"])):
        networks.append(clone(network))
        networks[-1].set_weights([stack[index].astype("float32") for stack in stacks])
    return Population(networks, header)


def check_recipe(what: str, info: Mapping[str, Any], recipe: str) -> None:
    """Raise ValueError unless networks are those that a connection model is for.

    Args:
        what: What has the networks, such as the name of their file.
        info: How they were made, see `Population`.
        recipe: Name of the recipe that they must be of.
    """
    name = info["recipe"]["name"]
    if name != recipe:
        raise ValueError(
            f"{what} has networks of the recipe {name!r}, the connection model is for {recipe!r}; "
            "name a file of such networks."
        )


def check_held_out(what: str, seeds: Sequence[int], taught: Collection[int]) -> None:
    """Raise ValueError unless networks are pairs outside of those a connection is learned from.

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


def _network(architecture: str, header: dict[str, Any]) -> keras.Model:
    from mc_keras.zoo.architectures import build

    shape, classes = header["input_shape"], header["num_classes"]
    return build(architecture, shape, classes, **header["recipe"]["config"])


def _train(
    recipe: Recipe,
    seeds: list[int],
    file: pathlib.Path,
    run: dict[str, Any],
    data: DataSet,
    verbose: int,
) -> dict[str, Any]:
    network = training.build_model(recipe, data)
    stack = Stack(network, seeds)
    checkpoint_file = file.with_name(f"{file.name}.checkpoint")
    seconds = _fit(stack.model, recipe, seeds, data, checkpoint_file, run, verbose)
    stacks = stack.weights()
    x = data.train[0]
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **run,
        "input_shape": list(x.shape[1:]),
        "num_classes": int(network.output_shape[-1]),
        "seconds": round(seconds, 1),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": training.versions(),
    }
    halves = [s.astype("float16") if s.ndim > 2 else s for s in stacks]
    metrics, exact = (
        [_measure(network, arrays, i, data) for i in range(len(seeds))]
        for arrays in (halves, stacks)
    )
    if any(
        abs(mine[name] - true[name]) > SAME_ACCURACY
        for mine, true in zip(metrics, exact, strict=True)
        for name in ("train_accuracy", "test_accuracy")
    ):
        halves, metrics = stacks, exact
    header["metrics"] = metrics
    storage.write_archive(file, header, {str(i): array for i, array in enumerate(halves)})
    checkpoint_file.unlink()
    return header


def _measure(
    network: keras.Model, stacks: list[np.ndarray], index: int, data: DataSet
) -> dict[str, float]:
    network.set_weights([stack[index].astype("float32") for stack in stacks])
    return measure(network, data)


def _fit(
    model: keras.Model,
    recipe: Recipe,
    seeds: list[int],
    data: DataSet,
    checkpoint_file: pathlib.Path,
    run: dict[str, Any],
    verbose: int,
) -> float:
    batches = StackedBatches(
        [
            Batches(
                *data.train,
                batch_size=recipe.batch_size,
                augmentation=recipe.augmentation,
                seed=seed,
            )
            for seed in seeds
        ]
    )
    # The mean over networks times their number is the sum of the losses that each has alone.
    training.compile_model(
        model, recipe, recipe.epochs * len(batches), loss_weights=[float(len(seeds))]
    )
    checkpoint = Checkpoint(checkpoint_file, run)
    first_epoch = checkpoint.restore(model)
    model.fit(
        batches,
        epochs=recipe.epochs,
        initial_epoch=first_epoch,
        shuffle=False,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch)
            ),
            keras.callbacks.TerminateOnNaN(),
            checkpoint,
        ],
        verbose=verbose,
    )
    if model.stop_training:
        raise ValueError(
            f"The training of {recipe.name!r} with seeds {seeds} diverged: its loss is not finite. "
            "Train with a lower learning rate or other seeds."
        )
    return checkpoint.seconds
