"""The paper's protocol, with what the end points were trained with."""

import pytest

from mc_keras.reproduction import Chains, chains_between
from mc_keras.zoo.recipes import RECIPES, get_recipe


def test_the_papers_protocol():
    config = Chains(epochs=7, weight_decay=2e-4, augmentation="crop_flip").connector(5).get_config()
    expected = {
        "epochs": 7,
        "batch_size": 128,
        "learning_rate": 0.01,
        "weight_decay": 2e-4,
        "num_strata": 1,
        "optimizer": "sgd",
        "augmentation": "crop_flip",
    }
    assert {key: config[key] for key in expected} == expected
    assert config["curve"] == {"class": "PolygonalChain", "num_control_points": 5}


@pytest.mark.parametrize(
    ("recipe", "learning_rate", "weight_decay", "augmentation"),
    [
        ("fc_mnist", 0.01, 1e-4, "none"),
        ("fc_cifar10", 0.01, 5e-4, "mirror_crop_flip"),
        ("fc3_cifar10", 0.01, 5e-4, "small_mirror_crop_flip"),
        ("conv2fc1_cifar10", 0.015, 5e-4, "small_mirror_crop_flip"),
        ("vgg16_cifar10", 0.015, 5e-4, "mirror_crop_flip"),
    ],
)
def test_chains_are_trained_like_the_ends(recipe, learning_rate, weight_decay, augmentation):
    chains = chains_between(get_recipe(recipe), 9)
    assert chains.epochs == 9
    assert chains.learning_rate == learning_rate
    assert chains.weight_decay == pytest.approx(weight_decay)
    assert chains.augmentation == augmentation


def test_every_recipe_has_chains():
    for recipe in RECIPES.values():
        assert chains_between(recipe, 1).connector(3).name == "polychain"
