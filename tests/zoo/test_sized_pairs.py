"""Pairs of networks with other hidden layers than the recipe's."""

import numpy as np
import pytest

from mc_keras.zoo.populations import read_population
from mc_keras.zoo.recipes import get_recipe
from mc_keras.zoo.sized_pairs import kept_pairs, one_layer_recipe, train_pairs, with_hidden


@pytest.mark.parametrize("dataset", ["digits", "mnist", "cifar10"])
def test_the_recipe_is_the_zoos_for_one_hidden_layer(dataset):
    recipe = one_layer_recipe(dataset)
    assert recipe.dataset == dataset
    assert recipe == get_recipe(recipe.name)
    assert len(recipe.config["hidden"]) == 1


def test_only_the_hidden_layers_and_the_name_change():
    recipe = get_recipe("fc1_digits")
    changed = with_hidden(recipe, (7, 5))
    assert changed.name == "fc1_digits_7-5"
    assert changed.config == {**recipe.config, "hidden": (7, 5)}
    same = {"name": recipe.name, "config": recipe.config}
    assert vars(changed) | same == vars(recipe)


def test_pairs_are_trained_once_from_seeds_that_follow_each_other(tmp_path):
    recipe = with_hidden(one_layer_recipe("digits", epochs=1), (7, 5))
    pairs = train_pairs(recipe, 2, tmp_path, first_seed=3, verbose=0)
    assert list(pairs) == ["seeds3-4", "seeds5-6"]
    file = tmp_path / "fc1_digits_7-5" / "3-6_1-epochs.networks"
    written = file.stat().st_mtime_ns
    again = train_pairs(recipe, 2, tmp_path, first_seed=3, verbose=0)
    assert file.stat().st_mtime_ns == written
    kernels = [network.get_weights()[0] for pair in pairs.values() for network in pair]
    for one, same in zip(kernels, read_population(file).networks, strict=True):
        np.testing.assert_array_equal(one, same.get_weights()[0])
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    network = again["seeds3-4"][0]
    assert [layer.units for layer in network.layers if hasattr(layer, "units")] == [7, 5, 10]


@pytest.mark.slow
def test_only_networks_that_are_missing_are_trained(tmp_path):
    recipe = with_hidden(one_layer_recipe("digits", epochs=1), (7,))
    folder = tmp_path / recipe.name
    assert kept_pairs(recipe, 1, tmp_path) is None
    train_pairs(recipe, 1, tmp_path, first_seed=2, verbose=0)
    before = (folder / "2-3_1-epochs.networks").stat().st_mtime_ns
    assert kept_pairs(recipe, 2, tmp_path) is None
    pairs = train_pairs(recipe, 3, tmp_path, verbose=0)
    assert [*pairs] == ["seeds0-1", "seeds2-3", "seeds4-5"]
    names = {file.name for file in folder.glob("*.networks")}
    assert names == {f"{seeds}_1-epochs.networks" for seeds in ("0-1", "2-3", "4-5")}
    assert (folder / "2-3_1-epochs.networks").stat().st_mtime_ns == before
    second = read_population(folder / "2-3_1-epochs.networks").networks
    for networks in (pairs, kept_pairs(recipe, 3, tmp_path)):
        for network, same in zip(networks["seeds2-3"], second, strict=True):
            np.testing.assert_array_equal(network.get_weights()[0], same.get_weights()[0])
    assert [*kept_pairs(recipe, 1, tmp_path, first_seed=4)] == ["seeds4-5"]
    other = with_hidden(one_layer_recipe("digits", epochs=2), (7,))
    assert kept_pairs(other, 1, tmp_path) is None
    (longer,) = train_pairs(other, 1, tmp_path, verbose=0).values()
    assert not np.array_equal(longer[0].get_weights()[0], pairs["seeds0-1"][0].get_weights()[0])
    (folder / "0-1_1-epochs.networks").write_bytes(b"damaged")
    assert kept_pairs(recipe, 1, tmp_path) is None
