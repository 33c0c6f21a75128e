"""Populations: many networks that differ in their seed only, trained at once into one file."""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import filelock
import keras
import numpy as np

from mc_keras import storage
from mc_keras.batches import Batches
from mc_keras.progress import training_verbosity
from mc_keras.zoo import training
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.packing import SAME_ACCURACY
from mc_keras.zoo.populations import FORMAT, FORMAT_VERSION, read_header
from mc_keras.zoo.recipes import Recipe, get_recipe
from mc_keras.zoo.stacked import Stack, StackedBatches
from mc_keras.zoo.verification import measure


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
    first weights, order of the data and schedule, always in float32. An interrupted run goes on
    after its last whole epoch when the same call is made again; a finished one is not repeated.
    Kernels are stored in float16 if that changes no accuracy by more than 0.01 percentage points.

    Args:
        recipe: A recipe of a fully connected network, or its name.
        seeds: Different non-negative integers.
        file: The file to write; its checkpoint lies beside it until it is done.
        epochs: Instead of the recipe's number.
        data_dir: Folder of prepared data sets, as for `load_data`.
        verbose: 0 silent, 1 progress bar, in a log as 2, 2 one line per epoch.

    Returns:
        What the file's header says: recipe, seeds, and for each network its accuracy (a fraction)
        and loss (mean nats per example) on both splits.

    Raises:
        ValueError: If the recipe's network is not fully connected, the seeds are not different, the
            training diverged, or the file holds another population.
        OSError: If the file cannot be written.
    """
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    recipe = dataclasses.replace(recipe, dtype_policy="float32")
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"The seeds must be different and not negative, received {seeds}.")
    file = pathlib.Path(file)
    run = json.loads(json.dumps({"recipe": recipe.describe(), "seeds": seeds}))
    if file.exists():
        return _finished(file, run)
    data = load_data(recipe.dataset, data_dir)
    stack = Stack(training.build_model(recipe, data), seeds)
    storage.make_folder(file.parent)
    try:
        with filelock.FileLock(f"{file}.lock", blocking=False):
            if file.exists():  # of a process that has ended in between
                return _finished(file, run)
            return _train(stack, recipe, seeds, file, run, data, verbose)
    except filelock.Timeout:
        raise OSError(f"Another process is training {file}; choose another file.") from None


def _finished(file: pathlib.Path, run: dict[str, Any]) -> dict[str, Any]:
    """The header of a file that is done; a ValueError if it is of another run."""
    header = read_header(file)
    if any(header[key] != value for key, value in run.items()):
        raise ValueError(
            f"{file} holds networks of another recipe, other seeds or another number of epochs; "
            "choose another file."
        )
    return header


def _train(
    stack: Stack,
    recipe: Recipe,
    seeds: list[int],
    file: pathlib.Path,
    run: dict[str, Any],
    data: DataSet,
    verbose: int,
) -> dict[str, Any]:
    network = stack.network
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
        verbose=training_verbosity(verbose),
    )
    if model.stop_training:
        raise ValueError(
            f"The training of {recipe.name!r} with seeds {seeds} diverged: its loss is not finite. "
            "Train with a lower learning rate or other seeds."
        )
    return checkpoint.seconds
