"""Trains a connection model on a population of networks: seeded, logged, resumable."""

import dataclasses
import json
import os
import pathlib
import time
from typing import Any

import filelock
import keras
import numpy as np

from mc_keras import storage
from mc_keras.flows import (
    BijectionModel,
    Flow,
    InverseAutoregressiveFlow,
    LikelihoodModel,
    RealNVP,
    StopOnDivergence,
    WorstPoint,
    describe_networks,
    population_rows,
    row_size,
)
from mc_keras.zoo.batches import Batches
from mc_keras.zoo.connection_recipes import ConnectionRecipe
from mc_keras.zoo.datasets import load_data
from mc_keras.zoo.populations import Population, load_population
from mc_keras.zoo.training import CARD_FILE, LOG_FILE, versions

CONNECTION_FILE = "connection.keras"

# Training images on which the worst point of held-out pairs is followed.
_WATCHED_IMAGES = 10000


def train_connection(
    recipe: ConnectionRecipe,
    population: str | os.PathLike[str],
    held_out: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> dict[str, Any]:
    """Trains a flow that connects networks, and writes it and its card into a folder.

    An interrupted run goes on after its last whole epoch when the same call is made again; a
    finished one is not repeated. The weights kept are those of the epoch that was best on the pairs
    held out, of the epochs since the last start: by their worst point (bijection), by their
    likelihood (flow).

    Args:
        recipe: What to train.
        population: File of networks that `train_population` made: the set V.
        held_out: File of other networks of that recipe, the two of a pair one after the other.
        directory: The run's folder: `connection.keras`, `card.json` and `log.csv` go there.
        epochs: Instead of the recipe's number.
        data_dir: Folder of prepared data sets, as for `load_data`.
        verbose: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        The contents of `card.json`.

    Raises:
        ValueError: If the networks are of another recipe or do not fit, the folder holds another
            run, or the training diverged.
        OSError: If a file cannot be read or written, or another process is training there.
    """
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    networks, others = load_population(population), load_population(held_out)
    for file, found in ((population, networks), (held_out, others)):
        name = found.info["recipe"]["name"]
        if name != recipe.networks:
            raise ValueError(
                f"{file} holds networks of the recipe {name!r}; the connection model "
                f"{recipe.name!r} is for {recipe.networks!r}."
            )
    run = {
        "connection": dataclasses.asdict(recipe),
        "networks": networks.info["recipe"],
        "seeds": networks.info["seeds"],
        "held_out_seeds": others.info["seeds"],
        "population_sha256": storage.sha256_of_file(population),
    }
    run = json.loads(json.dumps(run))
    try:
        with filelock.FileLock(folder / ".lock", blocking=False):
            return _train(recipe, networks, others, folder, run, data_dir, verbose)
    except filelock.Timeout:
        raise OSError(
            f"Another process is training in {folder}; choose another directory."
        ) from None


def _train(
    recipe: ConnectionRecipe,
    networks: Population,
    held_out: Population,
    folder: pathlib.Path,
    run: dict[str, Any],
    data_dir: str | os.PathLike[str] | None,
    verbose: int,
) -> dict[str, Any]:
    card_file, run_file = folder / CARD_FILE, folder / "run.json"
    for file in (card_file, run_file):
        if file.exists():
            card = json.loads(file.read_text(encoding="utf-8"))
            if any(card.get(key) != value for key, value in run.items()):
                raise ValueError(
                    f"{folder} holds a run of another recipe, number of epochs or population; "
                    "choose another directory."
                )
            if file is card_file:
                return card
    storage.write_json(run_file, run)
    flow = new_flow(recipe, networks)
    clock = time.monotonic()
    if recipe.method.endswith("_bijection"):
        history = _fit_bijection(flow, recipe, networks, held_out, folder, data_dir, verbose)
    else:
        history = _fit_likelihood(flow, recipe, networks, held_out, folder, verbose)
    with storage.atomic_write(folder / CONNECTION_FILE) as temporary:
        flow.save(temporary)
    card = {
        **run,
        "seconds_of_last_start": round(time.monotonic() - clock, 1),
        "parameters": flow.count_params(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": versions(),
        "weights": {
            "size": (folder / CONNECTION_FILE).stat().st_size,
            "sha256": storage.sha256_of_file(folder / CONNECTION_FILE),
        },
        "history": {key: [float(v) for v in values] for key, values in history.items()},
    }
    storage.write_json(card_file, card)
    run_file.unlink()
    return card


def new_flow(recipe: ConnectionRecipe, networks: Population) -> Flow:
    """The flow of a recipe before training, normalised on the population."""
    rows = population_rows(networks.networks)
    kind = InverseAutoregressiveFlow if recipe.method.startswith("iaf") else RealNVP
    info = networks.info
    flow = kind(
        row_size(networks.networks[0]),
        num_blocks=recipe.num_blocks,
        hidden=recipe.hidden,
        seed=recipe.seed,
        networks=describe_networks(
            networks.networks[0],
            recipe=info["recipe"]["name"],
            dataset=info["recipe"]["dataset"],
            epochs=info["recipe"]["epochs"],
        ),
        name=recipe.name,
    )
    flow.adapt(np.concatenate(list(rows)))
    return flow


def _fit_bijection(
    flow: Flow,
    recipe: ConnectionRecipe,
    networks: Population,
    held_out: Population,
    folder: pathlib.Path,
    data_dir: str | os.PathLike[str] | None,
    verbose: int,
) -> dict[str, list[Any]]:
    x, y = load_data(recipe_dataset(networks), data_dir).train
    model = BijectionModel(
        flow, networks.networks, held_out.networks, position=recipe.position, seed=recipe.seed
    )
    model.compile(
        _optimizer(recipe, steps=recipe.epochs * -(-len(x) // recipe.batch_size)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    watched = slice(0, _WATCHED_IMAGES)
    worst = WorstPoint(x[watched], y[watched], positions=(0.25, 0.5, 0.75), period=recipe.period)
    batches = Batches(x, y, batch_size=recipe.batch_size, seed=recipe.seed)
    history = model.fit(
        batches,
        epochs=recipe.epochs,
        shuffle=False,
        callbacks=[worst, *_callbacks(batches, folder, recipe, "val_worst_accuracy", "max")],
        verbose=verbose,
    )
    return history.history


def _fit_likelihood(
    flow: Flow,
    recipe: ConnectionRecipe,
    networks: Population,
    held_out: Population,
    folder: pathlib.Path,
    verbose: int,
) -> dict[str, list[Any]]:
    rows, other_rows = (
        np.concatenate(list(population_rows(p.networks))) for p in (networks, held_out)
    )
    model = LikelihoodModel(flow)
    model.compile(_optimizer(recipe, steps=recipe.epochs * -(-len(rows) // recipe.batch_size)))
    # The labels are of no use and not used.
    batches = Batches(rows, np.zeros(len(rows)), batch_size=recipe.batch_size, seed=recipe.seed)
    history = model.fit(
        batches,
        epochs=recipe.epochs,
        shuffle=False,
        validation_data=(other_rows,),
        validation_batch_size=recipe.batch_size,
        callbacks=_callbacks(batches, folder, recipe, "val_loss", "min"),
        verbose=verbose,
    )
    return history.history


def _callbacks(
    batches: Batches, folder: pathlib.Path, recipe: ConnectionRecipe, monitor: str, mode: str
) -> list[keras.callbacks.Callback]:
    return [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch)
        ),
        StopOnDivergence(),
        keras.callbacks.EarlyStopping(
            monitor, mode=mode, patience=max(recipe.epochs // 2, 3), restore_best_weights=True
        ),
        keras.callbacks.CSVLogger(str(folder / LOG_FILE), append=True),
        keras.callbacks.BackupAndRestore(folder / "backup"),
    ]


def _optimizer(recipe: ConnectionRecipe, steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def recipe_dataset(networks: Population) -> str:
    """Name of the data set that the networks of a population were trained on."""
    return networks.info["recipe"]["dataset"]
