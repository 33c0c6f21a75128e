"""Cards: the commands that they name make what they say."""

import dataclasses

import pytest

from mc_keras.zoo.card import card_of, card_text
from mc_keras.zoo.manifest import load_manifest


@pytest.fixture
def entry_of(make_entry):
    """A function that makes an entry of a recipe, its seeds and its number of epochs."""

    def make(recipe, seeds, epochs):
        return dataclasses.replace(
            make_entry(),
            recipe=recipe,
            seeds=dict(zip(("start", "end"), seeds, strict=True)),
            training={"epochs": epochs},
        )

    return make


@pytest.mark.parametrize(("epochs", "flag"), [(60, ""), (1, " --epochs=1")])
def test_command_names_epochs_that_are_not_the_recipe_s(entry_of, epochs, flag):
    entry = entry_of("fc_digits", (0, 1), epochs)
    assert f"\nor both, packed as here, by\n\n```\nmc-zoo train fc_digits{flag} --zoo=my_zoo\n" in (
        card_text(entry)
    )
    assert entry.made_by == (f"mc-zoo train fc_digits{flag} --zoo=FOLDER",)


@pytest.mark.parametrize(
    ("recipe", "seeds"), [("fc_digits", (1, 0)), ("fc_digits", (0, 5)), ("my_own", (0, 1))]
)
def test_no_command_for_what_it_could_not_train(entry_of, recipe, seeds):
    entry = entry_of(recipe, seeds, 60)
    assert "mc-zoo train" not in card_text(entry)
    assert entry.made_by == (
        "mc-train --seed=1",
        "mc-train --seed=2",
        f"mc-zoo add --start=runs/{recipe}/seed{seeds[0]} --end=runs/{recipe}/seed{seeds[1]} "
        "--zoo=FOLDER",
    )


def test_card_says_how_weights_came_about_that_no_command_makes(entry_of):
    entry = entry_of("fc_digits", (0, 1), 60)
    told = dataclasses.replace(entry, history="Begun twice.")
    plain, card = card_text(entry), card_text(told)
    assert "differ in their seed only. Trained by\n" in plain
    assert "Trained by" not in card
    assert card.index("Begun twice.") < card.index("makes networks of the same kind, not these, by")
    assert card.index(entry.commands["start"]) < card.index("Settings of that recipe:")
    assert "Settings of that" not in plain


@pytest.mark.parametrize("name", load_manifest().all())
def test_shipped_cards_are_whole(name):
    entry = load_manifest().find(name)
    assert entry.description.endswith(".")
    assert ("JPEG" in card_of(entry)) == (entry.dataset == "cifar10")
