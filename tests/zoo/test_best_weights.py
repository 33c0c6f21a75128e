"""The best weights, also across an interruption."""

import keras
import numpy as np
import pytest

from mc_keras.zoo.best_weights import BestWeights


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])


def train(model, file, values, *, first=0, run="a run", **options):
    """Epochs that leave the weight at their number; the weight at the end, and the last epoch."""
    options = {"monitor": "v", "mode": "min", "patience": 3, **options}
    best = BestWeights(file, {"name": run}, **options)
    best.set_model(model)
    model.stop_training = False
    best.on_train_begin()
    for epoch in range(first, len(values)):
        model.set_weights([np.full((1, 1), epoch, "float32")])
        best.on_epoch_end(epoch, {"v": values[epoch]})
        if model.stop_training:
            break
    best.on_train_end()
    return model.get_weights()[0].item(), epoch


VALUES = [5, 2, 4, float("nan"), 6, 1, 1]


def test_training_ends_at_the_best_epoch(model, tmp_path):
    assert train(model, tmp_path / "best.zip", VALUES) == (1, 4)
    assert train(model, tmp_path / "most.zip", VALUES, mode="max", patience=9) == (4, 6)
    assert train(model, tmp_path / "even.zip", VALUES, period=2, patience=9) == (6, 6)


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_an_interruption_changes_nothing(model, tmp_path, first):
    file = tmp_path / "best.zip"
    train(model, file, VALUES[:2])
    assert train(model, file, VALUES, first=first) == (1, 4)


def test_files_of_other_runs_do_not_count(model, tmp_path):
    file = tmp_path / "best.zip"
    train(model, file, [0])
    assert train(model, file, VALUES, run="another run") == (1, 4)


def test_a_value_that_is_never_a_number_ends_the_training(model, tmp_path):
    assert train(model, tmp_path / "best.zip", [float("nan")] * 9) == (3, 3)
