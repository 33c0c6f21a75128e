"""Populations: packed, loaded from every place, verified, and what is wrong with them."""

import dataclasses

import numpy as np
import pytest

import mc_keras as mc
from mc_keras import storage
from mc_keras.zoo import manifest
from mc_keras.zoo.card import population_card_text
from mc_keras.zoo.download import NotHereError
from mc_keras.zoo.entries import POPULATION_METRICS
from mc_keras.zoo.population_packing import add_population
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import read_header, read_population
from mc_keras.zoo.recipes import get_recipe
from mc_keras.zoo.verification import verify

RECIPE = dataclasses.replace(
    get_recipe("fc1_digits"),
    name="tiny_digits",
    config={**get_recipe("fc1_digits").config, "hidden": (9,)},
    epochs=3,
)
NAME, FILE = "tiny_digits_5-7", "tiny_digits_5-7/5-7.networks"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A file of three tiny networks."""
    file = tmp_path_factory.mktemp("networks") / "networks"
    train_population(RECIPE, [5, 6, 7], file, verbose=0)
    return file


@pytest.fixture
def zoo(networks, tmp_path):
    """A zoo folder that has them."""
    add_population(
        tmp_path / "zoo", networks, description="Three tiny networks.", notes="From a test."
    )
    return tmp_path / "zoo"


@pytest.fixture
def rewritten(networks, tmp_path):
    """A function that copies the file with another header."""

    def rewrite(**changes):
        header, arrays = storage.read_archive(networks, "file of networks")
        storage.write_archive(tmp_path / "rewritten", {**header, **changes}, arrays)
        return tmp_path / "rewritten"

    return rewrite


def weights_of(population):
    return [array for network in population.networks for array in network.get_weights()]


def test_entry_describes_the_file(zoo, networks):
    entry = manifest.load_manifest(zoo).population(NAME)
    header = read_header(networks)
    assert (entry.version, entry.description) == (1, "Three tiny networks.")
    assert (entry.dataset, entry.recipe, entry.seeds) == ("digits", "tiny_digits", (5, 6, 7))
    assert entry.architecture.input_shape == (8, 8, 1)
    assert entry.architecture.config == header["recipe"]["config"]
    assert entry.training["learning_rate"] == RECIPE.learning_rate
    assert entry.command == "mc-train --recipe=tiny_digits --seed=5 --count=3"
    file = entry.files["networks"]
    assert file.path == FILE
    assert file.sha256 == storage.sha256_of_file(networks) == storage.sha256_of_file(zoo / FILE)
    assert entry.metrics["networks"] == 3
    accuracies = [metrics["test_accuracy"] for metrics in header["metrics"]]
    assert entry.metrics["test_mean_accuracy"] == pytest.approx(np.mean(accuracies))
    assert entry.metrics["test_lowest_accuracy"] == min(accuracies)
    assert entry.metrics["test_highest_accuracy"] == max(accuracies)


def test_card_is_made_from_the_manifest(zoo):
    entry = manifest.load_manifest(zoo).population(NAME)
    card = (zoo / NAME / "README.md").read_text(encoding="utf-8")
    assert card == population_card_text(entry)
    for text in (
        f"# {NAME}",
        "Three tiny networks.",
        f'mc.zoo.load_population("{NAME}")',
        f"| test | {100 * entry.metrics['test_mean_accuracy']:.2f} % |",
        "\nmc-train --recipe=tiny_digits --seed=5 --count=3\n",
        "\nmc-zoo add --population=runs/tiny_digits/5-7.networks --zoo=FOLDER\n",
        entry.files["networks"].sha256,
        "| epochs | 3 |",
    ):
        assert text in card


def test_training_is_what_the_file_says_even_of_an_older_recipe(networks, rewritten, tmp_path):
    recipe = dict(read_header(networks)["recipe"])
    del recipe["half_precision"]
    entry = add_population(tmp_path / "zoo", rewritten(recipe={**recipe, "momentum": 0.8}))
    assert "half_precision" not in entry.training
    assert entry.training["momentum"] == 0.8
    assert len(mc.zoo.load_population(NAME, tmp_path / "zoo").networks) == 3


def test_command_names_epochs_that_are_not_the_recipe_s(networks, rewritten, tmp_path):
    recipe = {**read_header(networks)["recipe"], "name": "fc1_digits"}
    entry = add_population(tmp_path / "zoo", rewritten(recipe=recipe))
    assert entry.command == "mc-train --recipe=fc1_digits --seed=5 --count=3 --epochs=3"


def test_refreshing_keeps_the_description_and_counts_new_networks_only(zoo, networks, rewritten):
    assert add_population(zoo, zoo / FILE) == manifest.load_manifest(zoo).population(NAME)
    entry = add_population(zoo, networks)
    assert (entry.version, entry.description) == (1, "Three tiny networks.")
    assert entry.notes == "From a test."
    assert add_population(zoo, rewritten(created="2026-01-31")).version == 2


@pytest.mark.parametrize("seeds", [[5, 7, 8], [7, 6, 5], [5]])
def test_seeds_that_do_not_follow_each_other_are_refused(rewritten, tmp_path, seeds):
    with pytest.raises(ValueError, match=f"has the seeds {', '.join(map(str, seeds))}; train one"):
        add_population(tmp_path / "zoo", rewritten(seeds=seeds))
    assert not (tmp_path / "zoo").exists()


def test_folder_of_something_else_is_left_alone(networks, tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(ValueError, match="exists and is no entry of that zoo"):
        add_population(tmp_path, networks)
    assert list((tmp_path / NAME).iterdir()) == []


def test_loaded_from_a_folder_and_from_a_server(
    zoo, networks, server, cache, tmp_path, monkeypatch
):
    expected = weights_of(read_population(networks))
    population = mc.zoo.load_population(NAME, zoo)
    assert population.info == read_header(networks)
    server.files[f"/zoo/{FILE}"] = (zoo / FILE).read_bytes()
    (zoo / FILE).unlink()
    monkeypatch.setattr(manifest, "ZOO_FOLDER", zoo)
    downloaded = mc.zoo.load_population(NAME, f"{server.url}/zoo", verbose=0)
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{server.url}/zoo")
    cached = mc.zoo.load_population(NAME)
    assert len(server.requests) == 1
    for found in (population, downloaded, cached):
        for a, b in zip(weights_of(found), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MC_KERAS_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(("damage", "message"), [("cut", "is truncated"), ("bit", "is altered")])
def test_damaged_file_is_one_clear_error(zoo, damage, message):
    contents = (zoo / FILE).read_bytes()
    half = len(contents) // 2
    altered = contents[:half] + bytes([contents[half] ^ 1]) + contents[half + 1 :]
    (zoo / FILE).write_bytes(contents[:half] if damage == "cut" else altered)
    for use in (mc.zoo.load_population, verify):
        with pytest.raises(ValueError, match=f"{FILE} {message}") as caught:
            use(NAME, zoo)
        assert not isinstance(caught.value, NotHereError)


def test_population_that_no_place_has_says_how_to_make_it_again(zoo, server, cache, monkeypatch):
    (zoo / FILE).unlink()
    monkeypatch.setattr(manifest, "ZOO_FOLDER", zoo)
    monkeypatch.setenv("MC_KERAS_ZOO_URL", server.url)
    message = (
        "Make its like again by `mc-train --recipe=tiny_digits --seed=5 --count=3 && mc-zoo add "
        "--population=runs/tiny_digits/5-7.networks --zoo=FOLDER` and name the new file instead, "
        "or name a folder or URL that has this very file, as the source or in MC_KERAS_ZOO_URL.$"
    )
    for source in (None, zoo, server.url):
        with pytest.raises(NotHereError, match=message):
            mc.zoo.load_population(NAME, source)


def test_unknown_population(zoo):
    with pytest.raises(ValueError, match=f"no population 'tiny_digits_5-8'. Did you mean '{NAME}'"):
        mc.zoo.load_population("tiny_digits_5-8", zoo)


def test_files_that_are_no_populations(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of networks"):
        read_population(tmp_path / "none.networks")
    (tmp_path / "text.networks").write_text("no networks")
    with pytest.raises(ValueError, match="not a whole file of networks"):
        read_population(tmp_path / "text.networks")
    storage.write_archive(tmp_path / "path", {"format": "a path", "format_version": 1}, {})
    with pytest.raises(ValueError, match="holds 'a path' of format 1, not networks"):
        read_population(tmp_path / "path")


def test_verified_again_on_both_splits(zoo):
    assert {(c.role, c.metric): c.agrees for c in verify(NAME, zoo)} == {
        ("networks", metric): True for metric in POPULATION_METRICS
    }
    entry = manifest.load_manifest(zoo).population(NAME)
    better = entry.metrics["test_highest_accuracy"] + 2.1 / 355
    metrics = {**entry.metrics, "test_highest_accuracy": better}
    manifest.put_entry(zoo, dataclasses.replace(entry, metrics=metrics))
    wrong = [c.metric for c in verify(NAME, zoo) if not c.agrees]
    assert wrong == ["test_highest_accuracy"]


@pytest.mark.parametrize("name", manifest.load_manifest().populations)
def test_shipped_entries_are_named_by_their_recipe_and_seeds(name):
    entry = manifest.load_manifest().population(name)
    first, last = entry.seeds[0], entry.seeds[-1]
    assert name == f"{entry.recipe}_{first}-{last}"
    assert entry.files["networks"].path == f"{name}/{first}-{last}.networks"
    assert entry.metrics["networks"] == len(entry.seeds) == last - first + 1
