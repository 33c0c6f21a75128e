"""Many networks at once are what each would be alone, and survive interruptions."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from mc_keras.zoo import population_training, training
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import read_population
from mc_keras.zoo.recipes import get_recipe

RECIPE = dataclasses.replace(
    get_recipe("fc1_digits"),
    name="tiny_digits",
    config={**get_recipe("fc1_digits").config, "hidden": (9,)},
    epochs=3,
    batch_size=64,
)


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    file = tmp_path_factory.mktemp("population") / "5-7.networks"
    header = train_population(RECIPE, [5, 6, 7], file, verbose=0)
    return file, header


def test_each_network_is_what_it_would_be_alone(population, tmp_path):
    networks, info = read_population(population[0])
    card = training.train(RECIPE, 6, tmp_path, verbose=0)
    alone = keras.models.clone_model(networks[1])
    alone.load_weights(tmp_path / training.WEIGHTS_FILE)
    for a, b in zip(networks[1].get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)  # kernels are stored in float16
    for name, value in card["metrics"].items():
        assert info["metrics"][1][name] == pytest.approx(value, abs=2e-3)
    assert not np.allclose(networks[0].get_weights()[0], networks[1].get_weights()[0], atol=0.1)


def test_header_says_how_they_were_made(population):
    file, header = population
    read = read_population(file).info
    assert json.loads(json.dumps(header)) == read
    assert read["seeds"] == [5, 6, 7]
    assert read["recipe"]["name"] == "tiny_digits"
    assert len(read["metrics"]) == 3


def test_header_says_that_they_were_made_in_float32(tmp_path):
    mixed = dataclasses.replace(RECIPE, dtype_policy="mixed_bfloat16", epochs=1)
    header = train_population(mixed, [0, 1], tmp_path / "0-1.networks", verbose=0)
    assert header["recipe"]["dtype_policy"] == "float32"


def test_a_finished_population_is_not_trained_again(population, monkeypatch):
    file, header = population
    monkeypatch.setattr(population_training, "_train", None)
    assert train_population(RECIPE, [5, 6, 7], file, verbose=0) == header
    with pytest.raises(ValueError, match="other seeds"):
        train_population(RECIPE, [5, 6], file, verbose=0)


def test_an_interrupted_training_ends_with_the_same_networks(population, tmp_path, monkeypatch):
    file = tmp_path / "5-7.networks"
    save = Checkpoint.on_epoch_end

    def save_and_stop(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_end", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train_population(RECIPE, [5, 6, 7], file, verbose=0)
    assert not file.exists()
    train_population(RECIPE, [5, 6, 7], file, verbose=0)
    whole = read_population(population[0]).networks
    for a, b in zip(whole, read_population(file).networks, strict=True):
        for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(v, w)
    assert sorted(f.name for f in tmp_path.iterdir() if f.suffix != ".lock") == [file.name]


def test_what_cannot_be_done(tmp_path):
    for seeds in ([], [1, 1], [-1, 2]):
        with pytest.raises(ValueError, match="different and not negative"):
            train_population(RECIPE, seeds, tmp_path / "a.networks", verbose=0)
    with pytest.raises(ValueError, match="trained for fully connected networks"):
        train_population("conv_digits", [1, 2], tmp_path / "a.networks", verbose=0)
    with pytest.raises(ValueError, match="diverged"):
        wild = dataclasses.replace(RECIPE, learning_rate=1e20)
        train_population(wild, [1, 2], tmp_path / "b.networks", verbose=0)
