"""Trains a connection model on a population of networks: seeded, logged, resumable."""

import csv
import dataclasses
import json
import os
import pathlib
import time
from typing import Any, Literal, NamedTuple

import filelock
import keras
import numpy as np

from mc_keras import storage
from mc_keras.batches import Batches
from mc_keras.flows import (
    BijectionModel,
    Diverged,
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
from mc_keras.progress import training_verbosity
from mc_keras.zoo.best_weights import BestWeights
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.connection_recipes import ConnectionRecipe
from mc_keras.zoo.datasets import load_data
from mc_keras.zoo.populations import (
    Population,
    check_held_out,
    check_recipe,
    read_population,
)
from mc_keras.zoo.training import (
    CARD_FILE,
    CHECKPOINT_FILE,
    LOG_FILE,
    TENSORBOARD_FOLDER,
    check_tensorboard,
    cut_log,
    versions,
)

CONNECTION_FILE = "connection.keras"
LAST_GOOD_FILE = "last_good.keras"
RUN_FILE = "run.json"
BEST_FILE = "best.zip"

# Training images on which the worst point of held-out pairs is followed: where it decides which
# epoch is the best, and where it is only reported.
_DECIDING_IMAGES = 10000
_REPORTED_IMAGES = 1000
_REPORTS = 4  # in one training


def train_connection(
    recipe: ConnectionRecipe,
    population: str | os.PathLike[str],
    held_out: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    tensorboard: bool = False,
    verbose: int = 1,
) -> dict[str, Any]:
    """Trains a flow that connects networks, and writes it and its card into a folder.

    An interrupted run goes on after its last whole epoch when the same call is made again, and ends
    at the weights it would have had; a finished one is not repeated. The weights kept are those of
    the epoch that was best on the pairs held out: by their worst point (bijection), by their
    likelihood (flow; a few times in a training their worst point is reported as well).

    A run that diverged is given up: `last_good.keras` is the flow before that, and the same call
    begins anew.

    Args:
        recipe: What to train.
        population: File of networks that `train_population` made: the set V.
        held_out: File of other networks of that recipe, the two of a pair one after the other.
        directory: The run's folder: `connection.keras`, `card.json` and `log.csv` go there.
        epochs: Instead of the recipe's number.
        data_dir: Folder of prepared data sets, as for `load_data`.
        tensorboard: Whether to log for TensorBoard, below `directory/tensorboard`.
        verbose: 0 silent, 1 progress bar, in a log as 2, 2 one line per epoch.

    Returns:
        The contents of `card.json`.

    Raises:
        ValueError: If the networks are of another recipe or do not fit, those held out are no pairs
            or in the population, the folder holds another run, or the training diverged.
        OSError: If a file cannot be read or written, or another process is training there.
        ImportError: If TensorBoard is asked for and not installed.
    """
    if tensorboard:
        check_tensorboard()
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    folder = pathlib.Path(directory)
    networks, others = read_population(population), read_population(held_out)
    for file, found in ((population, networks), (held_out, others)):
        check_recipe(os.fspath(file), found.info, recipe.networks)
    check_held_out(os.fspath(held_out), others.info["seeds"], networks.info["seeds"])
    run = {
        "connection": dataclasses.asdict(recipe),
        "networks": networks.info["recipe"],
        "seeds": networks.info["seeds"],
        "held_out_seeds": others.info["seeds"],
        "population_sha256": storage.sha256_of_file(population),
    }
    run = json.loads(json.dumps(run))
    storage.make_folder(folder)
    try:
        with filelock.FileLock(folder / ".lock", blocking=False):
            job = _Job(recipe, networks, others, folder, run, data_dir, tensorboard, verbose)
            return _train(job)
    except filelock.Timeout:
        raise OSError(
            f"Another process is training in {folder}; choose another directory."
        ) from None


class _Job(NamedTuple):
    """What is trained, on what, and where; see `train_connection`."""

    recipe: ConnectionRecipe
    networks: Population
    held_out: Population
    folder: pathlib.Path
    run: dict[str, Any]
    data_dir: str | os.PathLike[str] | None
    tensorboard: bool
    verbose: int


def _train(job: _Job) -> dict[str, Any]:
    folder, run = job.folder, job.run
    card_file, run_file = folder / CARD_FILE, folder / RUN_FILE
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
    fit = _fit_bijection if job.recipe.method.endswith("_bijection") else _fit_likelihood
    unfinished = [run_file, folder / CHECKPOINT_FILE, folder / BEST_FILE]
    try:
        flow = new_flow(job.recipe, job.networks)
        seconds = fit(flow, job)
    except Diverged:
        _remove(unfinished)
        raise
    except Exception:
        if not (folder / CHECKPOINT_FILE).exists():
            run_file.unlink()  # nothing was learned: another run may begin here
        raise
    with storage.atomic_write(folder / CONNECTION_FILE) as temporary:
        flow.save(temporary)
    card = {
        **run,
        "seconds": round(seconds, 1),
        "parameters": flow.count_params(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": versions(),
        "weights": {
            "size": (folder / CONNECTION_FILE).stat().st_size,
            "sha256": storage.sha256_of_file(folder / CONNECTION_FILE),
        },
        "history": _history(folder / LOG_FILE),
    }
    storage.write_json(card_file, card)
    _remove(unfinished)
    return card


def _remove(files: list[pathlib.Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _history(log: pathlib.Path) -> dict[str, list[float]]:
    """What was logged of each epoch, those before an interruption included."""
    with open(log, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    keys = [key for key in rows[0] if key != "epoch"] if rows else []
    return {key: [float(row[key]) for row in rows] for key in keys}


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


def _fit_bijection(flow: Flow, job: _Job) -> float:
    recipe, networks = job.recipe, job.networks
    x, y = load_data(recipe_dataset(networks), job.data_dir).train
    model = BijectionModel(
        flow, networks.networks, job.held_out.networks, position=recipe.position, seed=recipe.seed
    )
    batches = Batches(x, y, batch_size=recipe.batch_size, seed=recipe.seed)
    model.compile(
        _optimizer(recipe, steps=recipe.epochs * len(batches)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    watched = slice(0, _DECIDING_IMAGES)
    worst = WorstPoint(x[watched], y[watched], period=recipe.period)
    best = _best(job, "val_worst_accuracy", "max", period=recipe.period)
    return _fit(model, batches, job, worst, best)


def _fit_likelihood(flow: Flow, job: _Job) -> float:
    recipe = job.recipe
    rows, other_rows = (
        np.concatenate(list(population_rows(p.networks))) for p in (job.networks, job.held_out)
    )
    model = LikelihoodModel(flow)
    # The labels are of no use and not used.
    batches = Batches(rows, np.zeros(len(rows)), batch_size=recipe.batch_size, seed=recipe.seed)
    model.compile(_optimizer(recipe, steps=recipe.epochs * len(batches)))
    return _fit(
        model,
        batches,
        job,
        _reported(flow, job),
        _best(job, "val_loss", "min"),
        validation_data=(other_rows,),
        validation_batch_size=recipe.batch_size,
    )


def _reported(flow: Flow, job: _Job) -> WorstPoint:
    """The worst point during a training that is not by it, measured at little cost."""
    x, y = load_data(recipe_dataset(job.networks), job.data_dir).train
    # The way back of an autoregressive flow takes as many steps as there are coordinates.
    slow = isinstance(flow, InverseAutoregressiveFlow)
    pairs = job.held_out.networks[: 2 if slow else None]
    return WorstPoint(
        x[:_REPORTED_IMAGES],
        y[:_REPORTED_IMAGES],
        positions=(0.5,) if slow else (0.25, 0.5, 0.75),
        period=-(-job.recipe.epochs // _REPORTS),
        paths=BijectionModel(flow, pairs, pairs),
    )


def _best(job: _Job, monitor: str, mode: Literal["min", "max"], *, period: int = 1) -> BestWeights:
    patience = max(job.recipe.epochs // 2, 3)
    return BestWeights(
        job.folder / BEST_FILE,
        job.run,
        monitor=monitor,
        mode=mode,
        patience=patience,
        period=period,
    )


def _fit(
    model: keras.Model,
    batches: Batches,
    job: _Job,
    worst: WorstPoint,
    best: BestWeights,
    **options: Any,
) -> float:
    """Trains a model from where its checkpoint stands; returns the seconds of all its parts."""
    folder, log = job.folder, job.folder / LOG_FILE
    checkpoint = Checkpoint(folder / CHECKPOINT_FILE, job.run)
    first_epoch = checkpoint.restore(model)
    cut_log(log, first_epoch)
    advice = (
        f"Train it with a lower learning rate than {job.recipe.learning_rate:g}, by "
        "mc-train --learning_rate or the recipe."
    )
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch)
        ),
        StopOnDivergence(folder / LAST_GOOD_FILE, advice=advice),
        worst,
        best,
        keras.callbacks.CSVLogger(str(log), append=True),
    ]
    if job.tensorboard:
        # Keras cannot draw the graph of a model that is no row or graph of layers.
        board = keras.callbacks.TensorBoard(str(folder / TENSORBOARD_FOLDER), write_graph=False)
        callbacks.append(board)
    model.fit(
        batches,
        epochs=job.recipe.epochs,
        initial_epoch=first_epoch,
        shuffle=False,
        # The checkpoint is last: an epoch counts once everything about it is written.
        callbacks=[*callbacks, checkpoint],
        verbose=training_verbosity(job.verbose),
        **options,
    )
    return checkpoint.seconds


def _optimizer(recipe: ConnectionRecipe, steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def recipe_dataset(networks: Population) -> str:
    """Name of the data set that the networks of a population were trained on."""
    return networks.info["recipe"]["dataset"]
