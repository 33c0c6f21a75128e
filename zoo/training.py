"""Trains one network by a recipe: seeded, and resumable after any interruption."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import filelock
import keras

from mc_keras import storage
from mc_keras.batches import Batches
from mc_keras.folding import fold_batch_norm
from mc_keras.progress import training_verbosity
from mc_keras.zoo import architectures, datasets, precision, verification
from mc_keras.zoo.checkpoint import Checkpoint, kept_dtype_policy
from mc_keras.zoo.recipes import Recipe, get_recipe
from mc_keras.zoo.schedules import learning_rates

WEIGHTS_FILE = "model.weights.h5"
CARD_FILE = "card.json"
LOG_FILE = "log.csv"
CHECKPOINT_FILE = "checkpoint.zip"
TENSORBOARD_FOLDER = "tensorboard"

_EVALUATION_BATCH = 1000


def train(
    recipe: str | Recipe,
    seed: int,
    directory: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    tensorboard: bool = False,
    verbose: int = 1,
) -> dict[str, Any]:
    """Trains a network and writes its weights and its card into a folder.

    The folder gets `log.csv` (one line per epoch), and at the end `model.weights.h5` and
    `card.json`. A run that was interrupted, at any moment, goes on after its last whole epoch when
    the same call is made again, and ends at the weights it would have had. A finished run is not
    repeated.

    Args:
        recipe: A recipe or the name of one.
        seed: Of first weights, order of the data, augmentation and dropout.
        directory: The run's folder; one per recipe and seed.
        epochs: Instead of the recipe's number; the schedule is stretched or shortened.
        data_dir: Folder of prepared data sets, as in `load_data`.
        tensorboard: Whether to log for TensorBoard, below `directory/tensorboard`.
        verbose: 0 silent, 1 progress bar, in a log as 2, 2 one line per epoch.

    Returns:
        The contents of `card.json`: how the network was made, and loss (mean nats per example) and
        accuracy (a fraction) on the clean training and test splits, of the float32 network.

    Raises:
        ValueError: If there is no such recipe, a number does not fit, or the folder holds another
            run.
        OSError: If the folder cannot be written, or another process is training in it.
        ImportError: If TensorBoard is asked for and not installed.
    """
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    if recipe.epochs < 1 or seed < 0:
        raise ValueError(
            "`epochs` must be at least 1 and `seed` not negative. "
            f"Received: epochs={recipe.epochs}, seed={seed}"
        )
    if tensorboard:
        check_tensorboard()
    folder = pathlib.Path(directory)
    storage.make_folder(folder)
    try:
        with filelock.FileLock(folder / ".lock", blocking=False):
            return _train(recipe, seed, folder, data_dir, tensorboard=tensorboard, verbose=verbose)
    except filelock.Timeout:
        raise OSError(
            f"Another process is training in {folder}; choose another directory."
        ) from None


def _train(
    recipe: Recipe,
    seed: int,
    folder: pathlib.Path,
    data_dir: str | os.PathLike[str] | None,
    *,
    tensorboard: bool,
    verbose: int,
) -> dict[str, Any]:
    run = {"recipe": recipe.describe(), "seed": seed}
    run = json.loads(json.dumps(run))  # as it will be read back: lists, not tuples
    if (folder / CARD_FILE).exists():
        return _finished(folder, run)
    data = datasets.load_data(recipe.dataset, data_dir)
    policy = kept_dtype_policy(folder / CHECKPOINT_FILE)
    if policy is None:
        policy = precision.policy_here(recipe.dtype_policy, verbose=verbose)
    with _dtype_policy(policy):
        model = build_model(recipe, data, **recipe.training_config)
    architectures.initialize(model, seed)
    seconds = _fit(model, recipe, seed, data, folder, run, tensorboard=tensorboard, verbose=verbose)
    if recipe.training_config:
        model = fold_batch_norm(model)
    if recipe.half_precision:
        round_kernels(model)
    with storage.atomic_write(folder / WEIGHTS_FILE) as temporary:
        model.save_weights(temporary)
    card = {
        **run,
        "command": f"mc-train --recipe={recipe.name} --seed={seed} --epochs={recipe.epochs}",
        "seconds": round(seconds, 1),
        "dtype_policy": policy,
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "weights": {
            "size": (folder / WEIGHTS_FILE).stat().st_size,
            "sha256": storage.sha256_of_file(folder / WEIGHTS_FILE),
        },
        "metrics": measure(recipe, folder / WEIGHTS_FILE, data),
    }
    storage.write_json(folder / CARD_FILE, card)
    (folder / CHECKPOINT_FILE).unlink()
    return card


def _finished(folder: pathlib.Path, run: dict[str, Any]) -> dict[str, Any]:
    """The card of a run that is done.

    Raises:
        ValueError: If it is of another run, damaged, or its weights are gone.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        others = [key for key, value in run.items() if card[key] != value]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / CARD_FILE} is not the card of a run: it was truncated or altered; delete "
            "it to train again, or choose another directory."
        ) from error
    if others:
        raise ValueError(
            f"{folder} holds a finished run of another recipe, seed or number of epochs; "
            "choose another directory."
        )
    if not (folder / WEIGHTS_FILE).is_file():
        raise ValueError(
            f"{folder} holds the card of a finished run, but not its {WEIGHTS_FILE}: delete "
            f"{CARD_FILE} to train again, or choose another directory."
        )
    # A process killed between the last two steps of its run leaves one.
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    return card


def round_kernels(model: keras.Model) -> None:
    """Round weights of two axes or more to the nearest float16, as weights files can hold them."""
    model.set_weights(
        [w.astype("float16").astype(w.dtype) if w.ndim > 1 else w for w in model.get_weights()]
    )


def _fit(
    model: keras.Model,
    recipe: Recipe,
    seed: int,
    data: datasets.DataSet,
    folder: pathlib.Path,
    run: dict[str, Any],
    *,
    tensorboard: bool,
    verbose: int,
) -> float:
    """Trains the model from where its checkpoint stands; returns the seconds of all its parts."""
    batches = Batches(
        *data.train, batch_size=recipe.batch_size, augmentation=recipe.augmentation, seed=seed
    )
    compile_model(model, recipe, steps=recipe.epochs * len(batches))
    checkpoint = Checkpoint(folder / CHECKPOINT_FILE, run, model.dtype_policy.name)
    first_epoch = checkpoint.restore(model)
    log = folder / LOG_FILE
    cut_log(log, first_epoch)
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch)
        ),
        keras.callbacks.CSVLogger(str(log), append=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder / TENSORBOARD_FOLDER)))
    model.fit(
        batches,
        epochs=recipe.epochs,
        initial_epoch=first_epoch,
        shuffle=False,  # Keras would shuffle the batches by Python's unseeded generator
        validation_data=data.test,
        validation_batch_size=_EVALUATION_BATCH,
        # The checkpoint is last: an epoch counts once everything about it is written.
        callbacks=[*callbacks, checkpoint],
        verbose=training_verbosity(verbose),
    )
    if model.stop_training:
        raise ValueError(
            f"The training of {recipe.name!r} with seed {seed} diverged: its loss is not finite. "
            "Train with a lower learning rate or another seed."
        )
    return checkpoint.seconds


def check_tensorboard() -> None:
    """Raises ImportError unless TensorBoard is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError("TensorBoard is not installed: `pip install tensorboard`.")


def cut_log(log: pathlib.Path, epochs: int) -> None:
    """Leaves the rows of the first epochs: those logged and not checkpointed come again.

    Args:
        log: What `keras.callbacks.CSVLogger` wrote, if it did.
        epochs: Number of epochs that are done.
    """
    if epochs == 0:
        log.unlink(missing_ok=True)
    elif log.exists():
        rows = log.read_bytes().splitlines(keepends=True)
        with storage.atomic_write(log) as temporary:
            temporary.write_bytes(b"".join(rows[: epochs + 1]))


def build_model(recipe: Recipe, data: datasets.DataSet, **config: Any) -> keras.Model:
    """The network of a recipe with fresh weights, under the current dtype policy.

    Args:
        recipe: The recipe.
        data: Training and test split.
        **config: Arguments of the architecture instead of the recipe's.
    """
    x, y = data.train
    return architectures.build(
        recipe.architecture, x.shape[1:], int(y.max()) + 1, **{**recipe.config, **config}
    )


def measure(
    recipe: Recipe, weights: str | os.PathLike[str], data: datasets.DataSet
) -> dict[str, float]:
    """Loss and accuracy of stored weights on the clean splits, computed in float32.

    Args:
        recipe: What was trained.
        weights: A `.weights.h5` file.
        data: Training and test split.

    Returns:
        `train_accuracy`, `train_loss`, `test_accuracy`, `test_loss`: fractions, and mean nats per
        example.
    """
    with _dtype_policy("float32"):
        model = build_model(recipe, data)
    model.load_weights(weights)
    return verification.measure(model, data)


def compile_model(model: keras.Model, recipe: Recipe, steps: int, **options: Any) -> None:
    """Compiles a model with the recipe's optimizer and schedule over `steps` batches."""
    schedule = learning_rates(recipe, steps)
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    elif recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay or None
        )
    else:
        raise ValueError(f"`optimizer` must be 'sgd' or 'adam'. Received: {recipe.optimizer!r}")
    model.compile(optimizer=optimizer, loss=_loss(), metrics=["accuracy"], **options)


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def versions() -> dict[str, str]:
    """Versions of what computed the weights."""
    packages = {"mc_keras", "keras", "numpy", keras.backend.backend(), "tensorflow-datasets"}
    return {package: importlib.metadata.version(package) for package in sorted(packages)}
