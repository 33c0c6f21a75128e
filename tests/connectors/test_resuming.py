"""A construction that is killed goes on after the last layer, or epoch, that it finished."""

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.adjustment import NormalEquations
from mc_keras.connectors import CurveFitting, OptimalTransport
from mc_keras.connectors.path_loss import PathLoss
from mc_keras.workspace import Workspace

METHODS = ["linear+wa", "ot+wa", "linear+bfly", "best"]


def keep_all(patch):
    """Checkpoints are written whenever there is something new."""
    patch.setattr("mc_keras.checkpoint._SECONDS_BETWEEN", 0.0)
    patch.setattr("mc_keras.checkpoint._SHARE_OF_TIME", 1e9)


def run_until(monkeypatch, number, call):
    """Interrupt `call` when it asks for one solution too many; returns how many it found."""
    solve, count = NormalEquations.solve, 0

    def counted(self):
        nonlocal count
        if count == number:
            raise KeyboardInterrupt
        count += 1
        return solve(self)

    with monkeypatch.context() as patch:
        patch.setattr(NormalEquations, "solve", counted)
        keep_all(patch)
        try:
            return call(), count
        except KeyboardInterrupt:
            return None, count


@pytest.mark.parametrize("method", METHODS)
def test_interrupted_and_called_again(method, deep_pair, tmp_path, monkeypatch):
    start, end, data = deep_pair
    file = tmp_path / "kept"

    def connect(checkpoint=file):
        return mc.connect(start, end, method, data, checkpoint=checkpoint)

    expected, total = run_until(monkeypatch, 10**6, lambda: connect(None))
    assert not file.exists()
    path, found = run_until(monkeypatch, total // 2, connect)
    assert path is None
    path, after = run_until(monkeypatch, 10**6, connect)
    assert after == total - found
    assert_same(path, expected)


def test_what_was_tried_is_not_measured_again(deep_pair, tmp_path, monkeypatch):
    start, end, data = deep_pair
    worst, measured = PathLoss.worst, []

    def counted(self, path, *arguments, **options):
        measured.append(worst(self, path, *arguments, **options))
        return measured[-1]

    monkeypatch.setattr(PathLoss, "worst", counted)

    def run(number, checkpoint):
        measured.clear()
        path, solved = run_until(
            monkeypatch,
            number,
            lambda: mc.connect(start, end, "best", data, checkpoint=checkpoint),
        )
        return path, solved, list(measured)

    expected, total, all_measured = run(10**6, None)
    # In the last construction, that of the path itself: every loss of what is tried is known.
    _, found, before = run(total - 1, tmp_path / "kept")
    path, solved, after = run(10**6, tmp_path / "kept")
    assert (found, solved) == (total - 1, 1)
    assert len(before) >= 6
    assert after == all_measured[len(before) :]
    assert_same(path, expected)


def epochs_until(monkeypatch, last, call):
    """Interrupt the training in `call` when an epoch begins; returns which ones began."""
    fit, began = keras.Model.fit, []

    def begin(epoch, logs):
        began.append(epoch)
        if epoch == last:
            raise KeyboardInterrupt

    def interrupted(model, *arguments, callbacks=(), **options):
        watch = keras.callbacks.LambdaCallback(on_epoch_begin=begin)
        return fit(model, *arguments, callbacks=[*callbacks, watch], **options)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", interrupted)
        keep_all(patch)
        try:
            return call(), began
        except KeyboardInterrupt:
            return None, began


def assert_same(path, expected):
    for t in (0.2, 0.45, 0.9):
        for a, b in zip(path(t), expected(t), strict=True):
            np.testing.assert_array_equal(a, b)


CURVES = {
    "bezier": CurveFitting(epochs=4),
    "after a reordering": OptimalTransport(along=CurveFitting(epochs=4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("connector", CURVES.values(), ids=CURVES)
def test_a_training_goes_on_after_its_last_epoch(connector, batch_norm_pair, tmp_path, monkeypatch):
    """With dropout, and moments of the optimizer, as if it had not been interrupted."""
    start, end, data = batch_norm_pair
    expected = mc.connect(start, end, connector, data)
    file = tmp_path / "kept"

    def connect():
        return mc.connect(start, end, connector, data, checkpoint=file)

    path, began = epochs_until(monkeypatch, 2, connect)
    assert (path, began) == (None, [0, 1, 2])
    path, began = epochs_until(monkeypatch, None, connect)
    assert began == [2, 3]
    assert_same(path, expected)
    path, began = epochs_until(monkeypatch, None, connect)
    assert began == []
    assert_same(path, expected)


def test_a_training_goes_on_in_a_workspace_and_leaves_nothing(dense_pair, tmp_path, monkeypatch):
    start, end, data = dense_pair
    workspace = Workspace(tmp_path, start, end, {"train": data})
    connector = CURVES["bezier"]
    path, _ = epochs_until(monkeypatch, 2, lambda: workspace.path("x", connector))
    assert path is None
    path, began = epochs_until(monkeypatch, None, lambda: workspace.path("x", connector))
    assert began == [2, 3]
    assert_same(path, mc.connect(start, end, connector, data))
    workspace.forget("x")
    assert not any(tmp_path.iterdir())


def test_networks_that_are_built_again_are_the_same(deep_pair, tmp_path, monkeypatch):
    start, end, (x, y) = deep_pair
    file = tmp_path / "kept"
    expected, total = run_until(
        monkeypatch, 10**6, lambda: mc.connect(start, end, "linear+wa", (x, y), checkpoint=file)
    )
    again = keras.Sequential.from_config({**start.get_config(), "name": "another"})
    again.set_weights(start.get_weights())
    path, found = run_until(
        monkeypatch, 10**6, lambda: mc.connect(again, end, "linear+wa", (x, y), checkpoint=file)
    )
    assert (total > 0, found) == (True, 0)
    assert_same(path, expected)


def test_other_statistics_of_batch_norm_are_another_network(batch_norm_pair, tmp_path, monkeypatch):
    start, end, data = batch_norm_pair
    other = keras.models.clone_model(start)
    other.set_weights(start.get_weights())
    other.layers[2].moving_mean.assign_add(np.ones(5))
    file = tmp_path / "kept"
    keep_all(monkeypatch)
    mc.connect(start, end, "linear+wa", data, checkpoint=file)
    with pytest.raises(ValueError, match="of another construction: its start differs"):
        mc.connect(other, end, "linear+wa", data, checkpoint=file)
    workspace = Workspace(tmp_path, start, end, {"train": data})
    path = workspace.path("x", CURVES["bezier"])
    assert workspace.made_by(CURVES["bezier"], path.provenance)
    elsewhere = Workspace(tmp_path, other, end, {"train": data})
    assert not elsewhere.made_by(CURVES["bezier"], path.provenance)


def test_a_checkpoint_of_something_else_is_refused(deep_pair, tmp_path, monkeypatch):
    start, end, (x, y) = deep_pair
    file = tmp_path / "kept"
    keep_all(monkeypatch)
    mc.connect(start, end, "linear+wa", (x, y), checkpoint=file)
    with pytest.raises(ValueError, match="of another construction: its connector differs"):
        mc.connect(start, end, "arc+wa", (x, y), checkpoint=file)
    with pytest.raises(ValueError, match="of another construction: its data differs"):
        mc.connect(start, end, "linear+wa", (x[:50], y[:50]), checkpoint=file)
    path = mc.connect(start, end)
    with pytest.raises(ValueError, match="not the checkpoint of an evaluation"):
        mc.evaluate_path(path, {"test": (x, y)}, 3, checkpoint=file, verbose=0)
