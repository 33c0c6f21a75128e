"""Evaluations that are killed, and continued by the same call."""

import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.checkpoint import Checkpoint
from mc_keras.storage import read_archive, write_archive
from tests.networks import classification_data, dense_network

# Saves after every block instead of every two seconds, and takes long enough to be killed.
KILLED = """
import sys
import numpy as np
import mc_keras as mc
from mc_keras import checkpoint
checkpoint._SECONDS_BETWEEN = 0.0
checkpoint._SHARE_OF_TIME = 1e9
path, data, file = sys.argv[1:]
data = np.load(data)
splits = {"train": (data["x"], data["y"]), "test": (data["x"][:99], data["y"][:99])}
mc.evaluate_path(mc.load_path(path), splits, 31, batch_size=20, checkpoint=file, verbose=0)
"""


def cursor_of(file):
    try:
        return read_archive(file, "evaluation checkpoint")[0]["cursor"]
    except FileNotFoundError:
        return None


@pytest.fixture
def splits():
    x, y = classification_data((5,), 2000)
    return {"train": (x, y), "test": (x[:99], y[:99])}


@pytest.fixture
def path():
    return mc.connect(dense_network(0), dense_network(1), "arc")


def evaluate(path, splits, **options):
    options = {"num_points": 31, "batch_size": 20, "verbose": 0} | options
    return mc.evaluate_path(path, splits, **options)


def test_a_killed_evaluation_continues_to_the_same_result(path, splits, tmp_path):
    file = tmp_path / "run.checkpoint"
    path.save(tmp_path / "arc.path")
    np.savez(tmp_path / "data.npz", x=splits["train"][0], y=splits["train"][1])
    command = [sys.executable, "-c", KILLED, tmp_path / "arc.path", tmp_path / "data.npz", file]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while (cursor := cursor_of(file)) is None or cursor["block"] < 5:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    cursor = cursor_of(file)
    assert 5 <= cursor["block"]
    assert cursor["task"] < 2
    loaded = mc.load_path(tmp_path / "arc.path")
    continued = evaluate(loaded, splits, checkpoint=file)
    whole = evaluate(path, splits)
    for name in whole.names:
        np.testing.assert_array_equal(continued[name], whole[name])
    assert cursor_of(file)["task"] == 2


def test_the_seconds_of_a_part_that_was_interrupted_count(path, splits, tmp_path):
    file = tmp_path / "run.checkpoint"
    first = evaluate(path, splits, checkpoint=file).metadata["seconds"]
    again = evaluate(path, splits, checkpoint=file).metadata["seconds"]
    assert first > 0.05  # a compilation at least
    assert again > 0.5 * first


def test_what_was_saved_is_not_computed_again(path, splits, tmp_path):
    file = tmp_path / "run.checkpoint"
    first = evaluate(path, splits, checkpoint=file)
    header, arrays = read_archive(file, "evaluation checkpoint")
    changed = {k: a + 1.0 if k == "of train/0000" else a for k, a in arrays.items()}
    write_archive(file, header, changed)
    again = evaluate(path, splits, checkpoint=file)
    np.testing.assert_allclose(again["train_loss"], first["train_loss"] + 1 / 2000)
    np.testing.assert_array_equal(again["test_loss"], first["test_loss"])


def test_the_moments_of_batch_norm_are_saved(batch_norm_pair, tmp_path, monkeypatch):
    """Stopped at every save in turn, each continued by the next call."""
    monkeypatch.setattr("mc_keras.checkpoint._SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr("mc_keras.checkpoint._SHARE_OF_TIME", 1e9)
    start, end, (x, y) = batch_norm_pair
    path = mc.connect(start, end, "linear")
    splits = {"train": (x[:90], y[:90]), "test": (x[:40], y[:40])}
    options = {"num_points": 2, "batch_size": 45}
    whole = evaluate(path, splits, **options)
    file = tmp_path / "run.checkpoint"

    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    cursors = []
    for _ in range(20):
        try:
            with monkeypatch.context() as patch:
                patch.setattr("mc_keras.progress.ProgressBar.add", _after_save(file, stop))
                report = evaluate(path, splits, checkpoint=file, **options)
            break
        except Stopped:
            cursors.append(cursor_of(file))
    assert len(cursors) >= 4
    for name in whole.names:
        np.testing.assert_array_equal(report[name], whole[name])


def _after_save(file, stop):
    """Stops at the first block after one that was saved in this run."""
    began = cursor_of(file)

    def add(*_):
        if cursor_of(file) != began:
            stop()

    return add


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"num_points": 5}, "positions"),
        ({"batch_size": 3}, "batch size"),
        ({"metrics": []}, "measures"),
        ({"loss": "mse", "metrics": []}, "measures"),
        ({"batch_norm": "interpolate"}, "batch norm"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(path, tmp_path, change, what):
    x, y = classification_data((5,), 20)
    splits = {"train": (x, np.eye(3, dtype="float32")[y])}
    file = tmp_path / "run.checkpoint"
    evaluate(path, splits, checkpoint=file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"its {what} differs"):
        evaluate(path, splits, checkpoint=file, **change)
    assert file.read_bytes() == before


def test_a_checkpoint_of_another_path_or_other_data_is_refused(path, tmp_path):
    x, y = classification_data((5,), 20)
    file = tmp_path / "run.checkpoint"
    evaluate(path, {"train": (x, y)}, checkpoint=file)
    other = mc.connect(dense_network(0), dense_network(2), "arc")
    with pytest.raises(ValueError, match="its path differs"):
        evaluate(other, {"train": (x, y)}, checkpoint=file)
    with pytest.raises(ValueError, match="its path differs"):
        same_weights = mc.connect(
            dense_network(0, activation="tanh"), dense_network(1, activation="tanh"), "arc"
        )
        evaluate(same_weights, {"train": (x, y)}, checkpoint=file)
    with pytest.raises(ValueError, match="its data differs"):
        evaluate(path, {"train": (x + 1, y)}, checkpoint=file)
    with pytest.raises(ValueError, match="its data differs"):
        evaluate(path, {"test": (x, y)}, checkpoint=file)


def test_a_damaged_checkpoint_is_refused(path, tmp_path):
    x, y = classification_data((5,), 20)
    file = tmp_path / "run.checkpoint"
    evaluate(path, {"train": (x, y)}, checkpoint=file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    with pytest.raises(ValueError, match="truncated, altered"):
        evaluate(path, {"train": (x, y)}, checkpoint=file)
    path.save(file)
    with pytest.raises(ValueError, match="not the checkpoint of an evaluation"):
        evaluate(path, {"train": (x, y)}, checkpoint=file)


def test_long_lists_keep_their_order(tmp_path):
    """One file name of ten thousand has a digit more than the others."""
    numbers = [np.full(1, number) for number in range(10_003)]
    Checkpoint(tmp_path / "file", {}, "construction").save({}, {"solutions": numbers, "x": []})
    _, arrays = Checkpoint(tmp_path / "file", {}, "construction").load()
    np.testing.assert_array_equal(np.concatenate(arrays["solutions"]), np.arange(10_003))
    assert arrays["x"] == []


def test_a_checkpoint_that_cannot_be_written_is_reported(path, tmp_path):
    x, y = classification_data((5,), 20)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Cannot write"):
        evaluate(path, {"train": (x, y)}, checkpoint=tmp_path / "file" / "run.checkpoint")


def test_names_of_layers_do_not_matter(tmp_path):
    """A notebook that builds its networks again gives their layers new names."""
    x, y = classification_data((5,))
    reports = [
        mc.evaluate_path(
            mc.connect(dense_network(0), dense_network(1)),
            {"test": (x, y)},
            num_points=3,
            checkpoint=tmp_path / "same.checkpoint",
            verbose=0,
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(reports[0]["test_loss"], reports[1]["test_loss"])


class Weighted(keras.losses.Loss):
    """Its configuration is another one when it has been JSON."""

    def get_config(self):
        return {"of_classes": {0: 1.0, 1: 5.0}, "pair": (1, 2)}

    def call(self, y, outputs):
        return (keras.ops.cast(y, "float32") - outputs[:, 0]) ** 2


def test_a_loss_with_any_configuration_goes_on(path, splits, tmp_path):
    reports = [
        mc.evaluate_path(path, splits, 3, loss=Weighted(), checkpoint=tmp_path / "file", verbose=0)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(reports[0]["test_loss"], reports[1]["test_loss"])
