"""Folders of finished trainings."""

import json
import shutil

import numpy as np
import pytest

from mc_keras.zoo.datasets import load_data
from mc_keras.zoo.runs import finished_runs, load_run, read_run


def test_the_network_is_the_trained_one(runs):
    data = load_data("digits")
    model = load_run(runs[0], "tiny_digits", data.train)
    x, y = data.test
    accuracy = np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y)
    assert accuracy == pytest.approx(read_run(runs[0])["metrics"]["test_accuracy"])


def test_finished_runs_are_found_by_their_seed(runs, tmp_path):
    for folder, name in zip(runs, ("b", "a"), strict=True):
        shutil.copytree(folder, tmp_path / "tiny_digits" / name)
    (tmp_path / "tiny_digits" / "unfinished").mkdir()
    connection = tmp_path / "tiny_digits" / "iaf_flow" / "card.json"
    connection.parent.mkdir()
    connection.write_text('{"connection": {"method": "iaf_flow"}, "seeds": [10, 11]}')
    found = finished_runs(tmp_path, "tiny_digits")
    assert {seed: folder.name for seed, folder in found.items()} == {3: "b", 4: "a"}
    assert not finished_runs(tmp_path, "fc_digits")


def test_altered_weights_are_refused(runs, tmp_path):
    folder = shutil.copytree(runs[0], tmp_path / "run")
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match="was altered after the training"):
        load_run(folder, "tiny_digits", load_data("digits").train)


def test_another_recipe_is_refused(runs):
    with pytest.raises(ValueError, match="of the recipe 'tiny_digits', not of 'fc_digits'"):
        load_run(runs[0], "fc_digits", load_data("digits").train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("seed"), "card.json has no 'seed'"),
        (lambda card: card.pop("weights"), "card.json has no 'weights'"),
        (lambda card: card["recipe"].pop("config"), r"card.json\['recipe'\] has no 'config'"),
        (lambda card: card.update(seed="0"), "must be an integer >= 0, found '0'"),
    ],
)
def test_card_that_lacks_something_is_refused(runs, tmp_path, change, message):
    folder = shutil.copytree(runs[0], tmp_path / "run")
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=f"not hold a finished run of mc-train .*{message}"):
        read_run(folder)


@pytest.mark.parametrize("text", ["", "5", "[]", "[" * 100_000])
def test_card_that_is_none_is_refused(runs, tmp_path, text):
    folder = shutil.copytree(runs[0], tmp_path / "tiny_digits" / "run")
    (folder / "card.json").write_text(text)
    with pytest.raises(ValueError, match="not hold a finished run of mc-train"):
        finished_runs(tmp_path, "tiny_digits")
