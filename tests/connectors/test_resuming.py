"""A construction that is killed goes on after the last layer that it solved."""

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.adjustment import NormalEquations

METHODS = ["linear+wa", "ot+wa", "linear+bfly", "best"]


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
        patch.setattr("mc_keras.checkpoint._SECONDS_BETWEEN", 0.0)
        patch.setattr("mc_keras.checkpoint._SHARE_OF_TIME", 1e9)
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
    for t in (0.2, 0.45, 0.9):
        for a, b in zip(path(t), expected(t), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_something_else_is_refused(deep_pair, tmp_path, monkeypatch):
    start, end, (x, y) = deep_pair
    file = tmp_path / "kept"
    monkeypatch.setattr("mc_keras.checkpoint._SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr("mc_keras.checkpoint._SHARE_OF_TIME", 1e9)
    mc.connect(start, end, "linear+wa", (x, y), checkpoint=file)
    with pytest.raises(ValueError, match="of another construction: its connector differs"):
        mc.connect(start, end, "arc+wa", (x, y), checkpoint=file)
    with pytest.raises(ValueError, match="of another construction: its data differs"):
        mc.connect(start, end, "linear+wa", (x[:50], y[:50]), checkpoint=file)
    path = mc.connect(start, end)
    with pytest.raises(ValueError, match="not the checkpoint of an evaluation"):
        mc.evaluate_path(path, {"test": (x, y)}, 3, checkpoint=file, verbose=0)
