"""The table of recipes: every row can be trained, and is what the papers have."""

import dataclasses
import inspect

import numpy as np
import pytest

from mc_keras.batches import Batches
from mc_keras.zoo import architectures
from mc_keras.zoo.recipes import RECIPES, Recipe, get_recipe

SHAPES = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_builds_its_network(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert name.endswith(f"_{recipe.dataset}")
    model = architectures.build(recipe.architecture, SHAPES[recipe.dataset], 10, **recipe.config)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("name", RECIPES)
def test_numbers_of_a_recipe_make_sense(name):
    recipe = RECIPES[name]
    assert recipe.optimizer in {"sgd", "adam"}
    Batches(
        np.zeros((2, 8, 8, 1), "uint8"), np.zeros(2), batch_size=2, augmentation=recipe.augmentation
    )
    assert recipe.epochs >= 1
    assert recipe.batch_size >= 1
    assert 0 < recipe.learning_rate < 1
    assert 0 <= recipe.warmup < 1
    assert recipe.epochs % sum(recipe.cycles) == 0  # a cycle has whole epochs
    # Decoupled weight decay takes this fraction of every weight in the largest step.
    assert 0 <= recipe.learning_rate * recipe.weight_decay < 0.01
    assert len(set(recipe.seeds)) == 2


def test_every_network_of_the_papers_has_a_recipe():
    configs = {name: dict(recipe.config) for name, recipe in RECIPES.items()}
    assert configs["fc_mnist"]["hidden"] == configs["fc_cifar10"]["hidden"] == (2000,)
    assert configs["fc3_cifar10"]["hidden"] == (6144, 2000)
    assert configs["fc3_cifar10"]["use_bias"] is False
    assert configs["conv2fc1_cifar10"]["filters"] == (32, 64)
    assert not configs["vgg16_cifar10"].get("batch_norm", False)
    assert configs["resnet20_cifar10"]["depth"] == 20
    assert configs["resnet20_noskip_cifar10"]["skip"] is False


def test_colour_images_are_augmented_and_digits_are_not():
    for recipe in RECIPES.values():
        # A mirrored digit is no digit.
        assert (recipe.augmentation != "none") == (recipe.dataset == "cifar10")


def test_configs_name_arguments_of_the_architectures():
    for recipe in RECIPES.values():
        builder = architectures.BUILDERS[recipe.architecture]
        names = recipe.config.keys() | recipe.training_config.keys()
        assert names <= inspect.signature(builder).parameters.keys()


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["fc_digits"].epochs = 3


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"no recipe 'fc_digit'\. Did you mean 'fc_digits'\?"):
        get_recipe("fc_digit")
    with pytest.raises(ValueError, match="no recipe 'zzz'. There are: fc_digits, "):
        get_recipe("zzz")


def test_a_description_makes_the_recipe_again():
    for recipe in RECIPES.values():
        for cycles in ((1,), (2, 1)):
            other = dataclasses.replace(recipe, cycles=cycles)
            assert Recipe(**other.describe()) == other
