"""Training by a recipe, for real: seeds, logs, cards, interruptions, and what goes wrong."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time

import filelock
import keras
import numpy as np
import pytest

from mc_keras.storage import sha256_of_file
from mc_keras.zoo import precision, training
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.datasets import load_data
from mc_keras.zoo.recipes import Recipe, get_recipe

# Everything that a checkpoint must hold: moments of Adam and of batch norm, dropout's generator.
# Batch norm is folded at the end.
RECIPE = Recipe(
    name="tiny",
    dataset="digits",
    architecture="vgg",
    config={
        "pixel_mean": (0.3,),
        "pixel_std": (0.4,),
        "stages": ((8,), (7, 6)),
        "hidden": (15,),
        "dropout": 0.1,
    },
    training_config={"batch_norm": True},
    epochs=4,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.01,
    weight_decay=0.1,
)

TRAIN = """
import sys
from mc_keras.zoo import precision, training
from mc_keras.zoo.recipes import Recipe
training.train(Recipe(**eval(sys.argv[1])), 3, sys.argv[2], verbose=0)
"""


def start_training(recipe, folder):
    arguments = repr(dataclasses.asdict(recipe))
    return subprocess.Popen([sys.executable, "-c", TRAIN, arguments, str(folder)])


def weights_of(folder):
    model = training.build_model(RECIPE, load_data("digits"))
    model.load_weights(folder / training.WEIGHTS_FILE)
    return model.get_weights()


def rows_of(log):
    return list(csv.DictReader(log.read_text().splitlines()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the card of a finished training with seed 3."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, training.train(RECIPE, 3, folder, verbose=0)


def test_network_learns(finished):
    _, card = finished
    assert card["metrics"]["test_accuracy"] > 0.3  # by chance 0.1
    assert card["metrics"]["train_loss"] < np.log(10)


def test_stored_network_is_the_trained_one_with_batch_norm_folded(finished):
    folder, card = finished
    last = rows_of(folder / training.LOG_FILE)[-1]
    assert card["metrics"]["test_loss"] == pytest.approx(float(last["val_loss"]), rel=1e-4)
    assert card["metrics"]["test_accuracy"] == pytest.approx(float(last["val_accuracy"]), abs=1e-6)


@pytest.mark.slow
def test_kernels_are_rounded_where_the_recipe_says_so(tmp_path):
    recipe = dataclasses.replace(RECIPE, half_precision=True)
    training.train(recipe, 3, tmp_path, epochs=1, verbose=0)
    for array in weights_of(tmp_path):
        half = array.astype("float16").astype("float32")
        assert np.array_equal(array, half) == (array.ndim > 1)


def test_card_says_how_the_network_was_made(finished):
    folder, card = finished
    assert json.loads((folder / training.CARD_FILE).read_text(encoding="utf-8")) == card
    assert card["recipe"] == json.loads(json.dumps(RECIPE.describe()))
    assert card["seed"] == 3
    assert card["command"] == "mc-train --recipe=tiny --seed=3 --epochs=4"
    assert card["backend"] == keras.backend.backend()
    assert card["versions"]["keras"] == keras.__version__
    assert card["seconds"] > 0
    weights = folder / training.WEIGHTS_FILE
    assert card["weights"] == {"size": weights.stat().st_size, "sha256": sha256_of_file(weights)}


def test_metrics_of_the_card_are_those_of_the_clean_splits(finished):
    folder, card = finished
    data = load_data("digits")
    model = training.build_model(RECIPE, data)
    model.set_weights(weights_of(folder))
    for split, (x, y) in data._asdict().items():
        logits = model.predict(x, verbose=0).astype("float64")
        log_sums = np.log(np.exp(logits).sum(-1))
        loss = np.mean(log_sums - logits[np.arange(len(y)), y])
        assert card["metrics"][f"{split}_loss"] == pytest.approx(loss, rel=1e-4)
        accuracy = np.mean(logits.argmax(-1) == y)
        assert card["metrics"][f"{split}_accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_log_has_a_line_for_every_epoch(finished):
    folder, card = finished
    rows = rows_of(folder / training.LOG_FILE)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    last = float(rows[-1]["val_accuracy"])
    assert last == pytest.approx(card["metrics"]["test_accuracy"], abs=1e-6)


def test_nothing_else_is_left(finished):
    folder, _ = finished
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {training.CARD_FILE, training.LOG_FILE, training.WEIGHTS_FILE}


def test_a_checkpoint_that_a_killed_process_left_is_removed(finished):
    folder, card = finished
    (folder / training.CHECKPOINT_FILE).write_bytes(b"killed after the card")
    assert training.train(RECIPE, 3, folder, verbose=0) == card
    test_nothing_else_is_left(finished)


@pytest.mark.slow
def test_same_seed_same_weights_in_another_process(finished, tmp_path):
    assert start_training(RECIPE, tmp_path).wait() == 0
    for a, b in zip(weights_of(finished[0]), weights_of(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_another_seed_gives_other_weights(finished, tmp_path):
    training.train(RECIPE, 4, tmp_path, epochs=1, verbose=0)
    kernel, other = weights_of(finished[0])[0], weights_of(tmp_path)[0]
    assert (kernel != other).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_killed_run_goes_on_to_the_weights_it_would_have_had(rows, finished, tmp_path):
    process = start_training(RECIPE, tmp_path)
    log = tmp_path / training.LOG_FILE
    while process.poll() is None and (
        not log.exists() or len(log.read_text().splitlines()) <= rows
    ):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it was killed"
    assert not (tmp_path / training.CARD_FILE).exists()

    card = training.train(RECIPE, 3, tmp_path, verbose=0)
    assert card["metrics"] == finished[1]["metrics"]
    for a, b in zip(weights_of(finished[0]), weights_of(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rows_of(log) == rows_of(finished[0] / training.LOG_FILE)


@pytest.mark.slow
def test_run_killed_after_its_last_epoch_only_writes_its_results(finished, tmp_path):
    in_the_way = tmp_path / training.WEIGHTS_FILE
    in_the_way.mkdir()
    with pytest.raises(OSError, match=training.WEIGHTS_FILE):
        training.train(RECIPE, 3, tmp_path, verbose=0)
    in_the_way.rmdir()
    log = tmp_path / training.LOG_FILE
    trained = log.stat().st_size
    card = training.train(RECIPE, 3, tmp_path, verbose=0)
    assert log.stat().st_size == trained
    assert card["metrics"] == finished[1]["metrics"]


def test_finished_run_is_not_repeated(finished):
    folder, card = finished
    before = (folder / training.WEIGHTS_FILE).stat().st_mtime_ns
    assert training.train(RECIPE, 3, folder, verbose=0) == card
    assert (folder / training.WEIGHTS_FILE).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("seed", "changes"), [(4, {}), (3, {"learning_rate": 0.5}), (3, {"epochs": 5})]
)
def test_folder_of_another_finished_run_is_refused(seed, changes, finished):
    folder, _ = finished
    with pytest.raises(ValueError, match="holds a finished run of another recipe, seed"):
        training.train(dataclasses.replace(RECIPE, **changes), seed, folder, verbose=0)


def test_checkpoint_of_another_run_is_refused(tmp_path):
    (tmp_path / training.WEIGHTS_FILE).mkdir()  # leaves the run at its last checkpoint
    with pytest.raises(OSError, match=training.WEIGHTS_FILE):
        training.train(RECIPE, 3, tmp_path, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="belongs to a run of another recipe, seed"):
        training.train(RECIPE, 4, tmp_path, epochs=1, verbose=0)
    checkpoint = tmp_path / training.CHECKPOINT_FILE
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(ValueError, match=training.CHECKPOINT_FILE):
        training.train(RECIPE, 3, tmp_path, epochs=1, verbose=0)


def test_folder_in_which_another_process_trains_is_refused(tmp_path):
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(OSError, match="Another process is training in .*; choose another"),
    ):
        training.train(RECIPE, 3, tmp_path, verbose=0)


def test_folder_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=str(file)):
        training.train(RECIPE, 3, file / "run", verbose=0)


def test_diverged_training_is_an_error_and_leaves_no_weights(tmp_path):
    wild = dataclasses.replace(
        RECIPE,
        optimizer="sgd",
        learning_rate=1e30,
        warmup=0.0,
        config={**RECIPE.config, "batch_norm": False},
    )
    with pytest.raises(ValueError, match="'tiny' with seed 3 diverged: its loss is not finite"):
        training.train(wild, 3, tmp_path, verbose=0)
    assert not (tmp_path / training.WEIGHTS_FILE).exists()
    assert not (tmp_path / training.CARD_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "fc_digit"}, "Did you mean 'fc_digits'"),
        ({"epochs": 0}, "`epochs` must be at least 1.*epochs=0"),
        ({"seed": -1}, "`seed` not negative.*seed=-1"),
        ({"recipe": dataclasses.replace(RECIPE, optimizer="lion")}, "must be 'sgd' or 'adam'"),
        ({"recipe": dataclasses.replace(RECIPE, dataset="digit")}, "Did you mean 'digits'"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        training.train(**{"recipe": RECIPE, "seed": 3, **arguments}, directory=tmp_path, verbose=0)


@pytest.mark.slow
def test_dtype_policy_is_that_of_the_recipe_and_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "slowdown_of_bfloat16", lambda: 1.0)
    mixed = dataclasses.replace(RECIPE, dtype_policy="mixed_bfloat16", epochs=1)
    before = keras.config.dtype_policy().name
    training.train(mixed, 3, tmp_path / "mixed", verbose=0)
    assert keras.config.dtype_policy().name == before
    training.train(dataclasses.replace(RECIPE, epochs=1), 3, tmp_path / "single", verbose=0)
    mixed_kernel, kernel = (weights_of(tmp_path / run)[0] for run in ("mixed", "single"))
    assert mixed_kernel.dtype == np.float32
    assert (mixed_kernel != kernel).any()


@pytest.mark.slow
def test_where_bfloat16_is_slow_the_training_is_in_single_precision(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(precision, "slowdown_of_bfloat16", lambda: 15.0)
    mixed = dataclasses.replace(RECIPE, dtype_policy="mixed_bfloat16", epochs=1)
    card = training.train(mixed, 3, tmp_path / "mixed", verbose=2)
    assert card["dtype_policy"] == "float32"
    assert card["recipe"]["dtype_policy"] == "mixed_bfloat16"
    assert "takes 15 times as long" in capsys.readouterr().err
    training.train(dataclasses.replace(RECIPE, epochs=1), 3, tmp_path / "single", verbose=0)
    for mine, other in zip(
        *(weights_of(tmp_path / run) for run in ("mixed", "single")), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.slow
def test_interrupted_run_goes_on_in_the_precision_that_it_had(tmp_path, monkeypatch):
    recipe = dataclasses.replace(get_recipe("fc_digits"), dtype_policy="mixed_bfloat16", epochs=2)
    write = Checkpoint.on_epoch_end

    def stop(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(precision, "slowdown_of_bfloat16", lambda: 1.0)
        patch.setattr(Checkpoint, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(recipe, 3, tmp_path, verbose=0)
    monkeypatch.setattr(precision, "slowdown_of_bfloat16", pytest.fail)
    assert training.train(recipe, 3, tmp_path, verbose=0)["dtype_policy"] == "mixed_bfloat16"


@pytest.mark.slow
def test_tensorboard_log(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    training.train(RECIPE, 3, tmp_path, epochs=1, tensorboard=True, verbose=0)
    for split in ("train", "validation"):
        events = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / split))
        events.Reload()
        assert "epoch_loss" in events.Tags()["tensors"]


def test_a_finished_run_without_its_weights_or_with_a_damaged_card_is_refused(finished, tmp_path):
    folder, _ = finished
    card = (folder / training.CARD_FILE).read_text()
    for text, message in ((card, "not its model.weights.h5"), (card[:-9], "is not the card")):
        (tmp_path / training.CARD_FILE).write_text(text)
        with pytest.raises(ValueError, match=message):
            training.train(RECIPE, 3, tmp_path, verbose=0)
