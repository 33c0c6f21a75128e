"""Connection models: trained on a population, packed, found, loaded."""

import dataclasses
import json

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.zoo import connection_training, connections, manifest
from mc_keras.zoo.card import connection_card_text
from mc_keras.zoo.connection_packing import add_connection
from mc_keras.zoo.connection_recipes import RECIPES, get_connection_recipe
from mc_keras.zoo.populations import load_population, train_population
from mc_keras.zoo.recipes import RECIPES as NETWORKS
from mc_keras.zoo.recipes import get_recipe

SHIPPED = sorted(manifest.load_manifest().connections)
TINY = dataclasses.replace(
    get_recipe("fc1_digits"),
    name="tiny_digits",
    config={**get_recipe("fc1_digits").config, "hidden": (9,)},
    epochs=2,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name, seeds in (("V", [1, 2, 3]), ("pairs", [4, 5])):
        train_population(TINY, seeds, folder / f"{name}.networks", verbose=0)
    return folder / "V.networks", folder / "pairs.networks"


@pytest.fixture(scope="module", params=["rnvp_bijection", "iaf_flow"])
def run(request, files, tmp_path_factory):
    recipe = dataclasses.replace(
        get_connection_recipe("fc1_digits", request.param),
        networks="tiny_digits",
        hidden=(6,),
        num_blocks=2,
        epochs=2,
    )
    folder = tmp_path_factory.mktemp("run")
    card = connection_training.train_connection(recipe, *files, folder, verbose=0)
    return recipe, folder, card


def test_run_is_described_and_not_repeated(run, files, monkeypatch):
    recipe, folder, card = run
    assert json.loads((folder / "card.json").read_text()) == card
    assert card["seeds"] == [1, 2, 3]
    assert len((folder / "log.csv").read_text().splitlines()) == 3
    assert not (folder / "backup").exists()
    monkeypatch.setattr(connection_training, "new_flow", None)
    assert connection_training.train_connection(recipe, *files, folder, verbose=0) == card
    with pytest.raises(ValueError, match="another recipe, number of epochs or population"):
        connection_training.train_connection(recipe, *files, folder, epochs=3, verbose=0)


def test_networks_of_another_recipe_are_refused(files, tmp_path):
    recipe = get_connection_recipe("fc1_digits", "rnvp_flow")
    with pytest.raises(ValueError, match="networks of the recipe 'tiny_digits'; .* 'fc1_digits'"):
        connection_training.train_connection(recipe, *files, tmp_path, verbose=0)


def test_packed_and_loaded(run, files, tmp_path):
    recipe, folder, _ = run
    entry = add_connection(tmp_path, folder, files[1], description="A toy.")
    assert manifest.load_manifest(tmp_path).connections == {recipe.name: entry}
    assert (tmp_path / recipe.name / "README.md").read_text() == connection_card_text(entry)
    assert entry.metrics["pairs"] == 1
    assert 0 < entry.metrics["test_worst_accuracy"] <= 1
    flow = mc.zoo.load_connection(recipe.name, tmp_path)
    trained = connections.read_connection(folder / "connection.keras")
    rows = np.random.default_rng(0).normal(size=(5, flow.size)).astype("float32")
    np.testing.assert_allclose(flow.forward(rows), trained.forward(rows), rtol=0.02, atol=0.02)
    a, b = load_population(files[1]).networks
    path = mc.connect(a, b, mc.connectors.LearnedConnection(model=flow))
    np.testing.assert_array_equal(path(1)[0], b.get_weights()[0])
    again = add_connection(tmp_path, folder, files[1])
    assert again == entry
    file = tmp_path / entry.files["connection"].path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is truncated"):
        mc.zoo.load_connection(recipe.name, tmp_path)
    with pytest.raises(ValueError, match="no connection model 'toy'. It has: tiny_digits"):
        mc.zoo.load_connection("toy", tmp_path)


def test_altered_runs_are_refused(run, files, tmp_path):
    with pytest.raises(ValueError, match="not hold a finished connection model"):
        add_connection(tmp_path, tmp_path, files[1])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_fit_the_networks_of_their_recipe(name):
    entry = manifest.load_manifest().connections[name]
    assert name == f"{entry.recipe}_{entry.method}"
    card = (manifest.ZOO_FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert card == connection_card_text(entry)
    assert entry.files["connection"].path.startswith(f"{name}/")
    assert entry.files["connection"].size < 10e6
    flow = mc.zoo.load_connection(name)
    pair = mc.zoo.load_pair(entry.recipe)
    assert connections.find_connection(pair.start, entry.method) == name
    assert mc.connectors.by_name(entry.method).applies_to(pair.start)
    rows = mc.flows.population_rows([pair.start, pair.end])[0][:50]
    assert np.isfinite(np.array(flow.forward(rows))).all()
    if entry.method.startswith("rnvp"):
        np.testing.assert_allclose(flow.inverse(flow.forward(rows)), rows, atol=1e-4)


def test_digits_models_are_shipped():
    assert {"fc1_digits_rnvp_bijection", "fc1_digits_rnvp_flow", "fc1_digits_iaf_flow"} <= {
        *SHIPPED
    }


def test_recipes():
    for name, recipe in RECIPES.items():
        assert name == recipe.name
        assert recipe.networks in NETWORKS
        assert len(NETWORKS[recipe.networks].config["hidden"]) == 1
    with pytest.raises(ValueError, match="The nearest is 'fc1_digits_rnvp_flow'"):
        get_connection_recipe("fc1_digits", "rnvp_flo")
