"""Connection models: trained on a population, packed, found, loaded."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.zoo import connection_packing, connection_training, connections, entries, manifest
from mc_keras.zoo.card import connection_card_text
from mc_keras.zoo.checkpoint import Checkpoint
from mc_keras.zoo.connection_packing import add_connection
from mc_keras.zoo.connection_recipes import RECIPES, get_connection_recipe
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import Population, read_population
from mc_keras.zoo.recipes import RECIPES as NETWORKS
from mc_keras.zoo.recipes import get_recipe
from mc_keras.zoo.verification import verify
from mc_keras.zoo.weight_files import write_weights

SHIPPED = sorted(manifest.load_manifest().connections)
TINY = dataclasses.replace(
    get_recipe("fc1_digits"),
    name="tiny_digits",
    config={**get_recipe("fc1_digits").config, "hidden": (9,)},
    epochs=2,
)
TINY_FLOW = dataclasses.replace(
    get_connection_recipe("fc1_digits", "rnvp_flow"),
    networks="tiny_digits",
    hidden=(6,),
    num_blocks=1,
    epochs=1,
    batch_size=8,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name, seeds in (("V", [1, 2, 3]), ("pairs", [4, 5])):
        train_population(TINY, seeds, folder / f"{name}.networks", verbose=0)
    return folder / "V.networks", folder / "pairs.networks"


@pytest.fixture(
    scope="module", params=[pytest.param("rnvp_bijection", marks=pytest.mark.slow), "iaf_flow"]
)
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


@pytest.fixture(scope="module")
def packed(run, files, tmp_path_factory):
    """A zoo folder that holds the model of `run` and no pair. Not to be changed: copy it."""
    zoo = tmp_path_factory.mktemp("zoo")
    return zoo, add_connection(zoo, run[1], files[1], description="A toy.", notes="A note.")


def put_pair(zoo, networks, make_entry):
    """Adds two networks as the pair of the recipe TINY."""
    folder = zoo / TINY.name
    folder.mkdir(exist_ok=True)
    for role, network in zip(entries.ROLES, networks, strict=True):
        write_weights(network, folder / f"{role}.weights.h5", half_precision=False)
    contents = [(folder / f"{role}.weights.h5").read_bytes() for role in entries.ROLES]
    config = json.loads(json.dumps(TINY.config))
    architecture = entries.Architecture(TINY.architecture, (8, 8, 1), 10, config)
    entry = make_entry(*contents, name=TINY.name)
    manifest.put_entry(zoo, dataclasses.replace(entry, architecture=architecture))


def test_run_is_described_and_not_repeated(run, files, monkeypatch):
    recipe, folder, card = run
    assert json.loads((folder / "card.json").read_text()) == card
    assert card["seeds"] == [1, 2, 3]
    assert len((folder / "log.csv").read_text().splitlines()) == 3
    assert {file.name for file in folder.iterdir()} - {".lock"} == {
        "card.json",
        "connection.keras",
        "log.csv",
    }
    assert len(card["history"]["val_worst_accuracy"]) == 2
    assert all(0 < value <= 1 for value in card["history"]["val_worst_accuracy"])
    monkeypatch.setattr(connection_training, "new_flow", None)
    assert connection_training.train_connection(recipe, *files, folder, verbose=0) == card
    with pytest.raises(ValueError, match="another recipe, number of epochs or population"):
        connection_training.train_connection(recipe, *files, folder, epochs=3, verbose=0)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_model(run, files, tmp_path, monkeypatch):
    recipe, folder, card = run
    save = Checkpoint.on_epoch_end

    def save_and_stop(self, epoch, logs=None):
        save(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_end", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            connection_training.train_connection(recipe, *files, tmp_path, verbose=0)
    again = connection_training.train_connection(recipe, *files, tmp_path, verbose=0)
    assert again["history"]["loss"] == card["history"]["loss"]
    flows = [connections.read_connection(f / "connection.keras") for f in (folder, tmp_path)]
    for a, b in zip(*(flow.get_weights() for flow in flows), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_refused_call_leaves_the_folder_free(files, tmp_path):
    train_population(TINY, [7], tmp_path / "one.networks", verbose=0)
    recipe = TINY_FLOW
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="at least two networks"):
        connection_training.train_connection(
            recipe, tmp_path / "one.networks", files[1], folder, verbose=0
        )
    card = connection_training.train_connection(recipe, *files, folder, verbose=0)
    assert card["seeds"] == [1, 2, 3]
    with pytest.raises(ValueError, match="no learned method 'rnvp_foo'; there are rnvp_bijection"):
        dataclasses.replace(recipe, method="rnvp_foo")


def test_a_training_that_diverged_is_given_up(files, tmp_path):
    recipe = TINY_FLOW
    wild = dataclasses.replace(recipe, learning_rate=1e30)
    with pytest.raises(ValueError, match=r"last_good.keras holds it. .* rate than 1e\+30"):
        connection_training.train_connection(wild, *files, tmp_path, verbose=0)
    assert {file.name for file in tmp_path.iterdir()} <= {".lock", "last_good.keras", "log.csv"}
    good = connections.read_connection(tmp_path / "last_good.keras")
    assert all(np.isfinite(array).all() for array in good.get_weights())
    card = connection_training.train_connection(
        recipe, *files, tmp_path, tensorboard=True, verbose=0
    )
    assert len(card["history"]["loss"]) == 1
    assert any(file.is_file() for file in (tmp_path / "tensorboard").rglob("*"))


@pytest.mark.parametrize(
    ("seeds", "message"),
    [([4, 5, 6], "an even number of networks, .* has 3"), ([3, 4], "of the seeds 3;")],
)
def test_networks_that_are_not_held_out_are_refused_for_training(
    run, files, tmp_path, monkeypatch, seeds, message
):
    def load(file):
        networks, info = read_population(file)
        return Population(networks, {**info, "seeds": seeds} if file == files[1] else info)

    monkeypatch.setattr(connection_training, "read_population", load)
    with pytest.raises(ValueError, match=message):
        connection_training.train_connection(run[0], *files, tmp_path, verbose=0)


def test_networks_of_another_recipe_are_refused(files, tmp_path):
    recipe = get_connection_recipe("fc1_digits", "rnvp_flow")
    with pytest.raises(ValueError, match="networks of the recipe 'tiny_digits', .* 'fc1_digits'"):
        connection_training.train_connection(recipe, *files, tmp_path, verbose=0)


def test_packed_and_loaded(run, files, packed, tmp_path):
    recipe, folder, _ = run
    zoo, entry = packed
    zoo = shutil.copytree(zoo, tmp_path / "zoo")
    assert manifest.load_manifest(zoo).connections == {recipe.name: entry}
    assert (zoo / recipe.name / "README.md").read_text() == connection_card_text(entry)
    assert entry.metrics["pairs"] == 1
    assert 0 < entry.metrics["test_worst_accuracy"] <= 1
    flow = mc.zoo.load_connection(recipe.name, zoo)
    trained = connections.read_connection(folder / "connection.keras")
    rows = np.random.default_rng(0).normal(size=(5, flow.size)).astype("float32")
    np.testing.assert_allclose(flow.forward(rows), trained.forward(rows), rtol=0.02, atol=0.02)
    a, b = read_population(files[1]).networks
    path = mc.connect(a, b, mc.connectors.LearnedConnection(model=flow))
    np.testing.assert_array_equal(path(1)[0], b.get_weights()[0])
    file = zoo / entry.files["connection"].path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is truncated"):
        mc.zoo.load_connection(recipe.name, zoo)
    with pytest.raises(ValueError, match="is truncated"):
        verify(recipe.name, zoo)
    with pytest.raises(ValueError, match="no connection model 'toy'. It has: tiny_digits"):
        mc.zoo.load_connection("toy", zoo)


@pytest.mark.slow
def test_measured_again_on_the_pair_of_the_zoo(run, files, packed, tmp_path, make_entry):
    recipe, folder, _ = run
    zoo, before = packed
    zoo = shutil.copytree(zoo, tmp_path / "zoo")
    assert before.pair_metrics == {}
    assert verify(recipe.name, zoo) == []
    # The one pair held out is also the zoo's, and so has the same accuracies.
    a, b = read_population(files[1]).networks
    put_pair(zoo, (a, b), make_entry)
    entry = add_connection(zoo, folder, files[1])
    assert dataclasses.replace(entry, pair_metrics={}, pair_digests={}) == before
    held_out = {name: before.metrics[name] for name in entries.CONNECTION_METRICS}
    assert entry.pair_metrics == pytest.approx(held_out, abs=1e-6)
    assert manifest.load_manifest(zoo).connections == {recipe.name: entry}
    better = held_out["test_worst_accuracy"] + 2.1 / 355
    wrong = {**entry.pair_metrics, "test_worst_accuracy": better}
    manifest.put_entry(zoo, dataclasses.replace(entry, pair_metrics=wrong))
    comparisons = verify(recipe.name, zoo)
    assert {(c.role, c.metric): c.agrees for c in comparisons} == {
        ("path", "train_worst_accuracy"): True,
        ("path", "train_worst_loss"): True,
        ("path", "test_worst_accuracy"): False,
        ("path", "test_worst_loss"): True,
    }
    put_pair(zoo, (b, a), make_entry)
    assert verify(recipe.name, zoo) == []
    put_pair(zoo, (a, b), make_entry)
    for role in entries.ROLES:
        (zoo / TINY.name / f"{role}.weights.h5").unlink()
    assert verify(recipe.name, zoo) == []


def test_altered_runs_are_refused(run, files, tmp_path):
    with pytest.raises(ValueError, match="not hold a finished connection model"):
        add_connection(tmp_path, tmp_path, files[1])


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"recipe": {"name": "fc_mnist"}}, "recipe 'fc_mnist', not of 'tiny_digits'"),
        ({"seeds": [4, 5, 6]}, "an even number of networks, .* has 3"),
        ({"seeds": [3, 4]}, "is trained on, of the seeds 3;"),
    ],
)
def test_networks_that_were_not_held_out_are_refused(
    run, files, tmp_path, monkeypatch, info, message
):
    networks, known = read_population(files[1])
    found = Population(networks, {**known, **info})
    monkeypatch.setattr(connection_packing, "read_population", lambda file: found)
    with pytest.raises(ValueError, match=message):
        add_connection(tmp_path, run[1], files[1])


def test_folders_that_are_no_entries_stay(run, files, tmp_path):
    recipe, folder, _ = run
    (tmp_path / recipe.name).mkdir()
    with pytest.raises(ValueError, match="exists and is no entry of that zoo"):
        add_connection(tmp_path, folder, files[1])
    assert (tmp_path / recipe.name).exists()


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
    assert set(entry.pair_metrics) == set(entries.CONNECTION_METRICS)
    assert entry.pair_digests == pair.info.digests
    assert connections.find_connection(pair.start, entry.method) == name
    assert mc.connectors.by_name(entry.method).applies_to(pair.start)
    rows = mc.flows.population_rows([pair.start, pair.end])[0]
    assert np.isfinite(np.array(flow.forward(rows))).all()
    # Elsewhere the way back of an autoregressive flow takes minutes.
    if entry.method.startswith("rnvp") or entry.recipe == "fc1_digits":
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
    with pytest.raises(ValueError, match="Did you mean 'rnvp_flow'. There are recipes rnvp_bij"):
        get_connection_recipe("fc1_digits", "rnvp_flo")
    with pytest.raises(ValueError, match="for other networks only, fc1_digits, fc_mnist, fc_cifar"):
        get_connection_recipe("conv_digits", "rnvp_flow")
