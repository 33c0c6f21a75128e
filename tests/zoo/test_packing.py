import json
import shutil

import h5py
import keras
import numpy as np
import pytest

from mc_keras.storage import sha256_of_file
from mc_keras.zoo import datasets, manifest, packing, training
from mc_keras.zoo.card import card_text
from mc_keras.zoo.recipes import Recipe
from mc_keras.zoo.weight_files import write_weights


def datasets_of(file):
    found = {}
    with h5py.File(file) as h5:
        h5.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "dtype") else {})
        )
    return found


def test_entry_describes_the_runs_and_the_files(tiny_zoo):
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    assert entry.version == 1
    assert entry.description == "Two tiny networks."
    assert entry.dataset == "digits"
    assert entry.architecture.builder == "fully_connected"
    assert entry.architecture.input_shape == (8, 8, 1)
    assert entry.architecture.num_classes == 10
    assert entry.architecture.config["hidden"] == [7, 5]
    assert entry.seeds == {"start": 3, "end": 4}
    assert entry.training["epochs"] == 5
    assert entry.commands["end"].startswith("mc-train --recipe=tiny_digits --seed=4")
    assert entry.dataset_license.startswith("CC BY 4.0")
    for role in ("start", "end"):
        file = tiny_zoo / entry.files[role].path
        assert file.stat().st_size == entry.files[role].size
        assert sha256_of_file(file) == entry.files[role].sha256


def test_metrics_are_those_of_the_run_to_rounding(tiny_zoo, runs):
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    for role, run in zip(("start", "end"), runs, strict=True):
        trained = json.loads((run / training.CARD_FILE).read_text())["metrics"]
        for split in ("train", "test"):
            assert entry.metrics[role][f"{split}_accuracy"] == pytest.approx(
                trained[f"{split}_accuracy"], abs=1.01e-4
            )
            assert entry.metrics[role][f"{split}_loss"] == pytest.approx(
                trained[f"{split}_loss"], rel=1e-3
            )
    assert entry.metrics["start"] != entry.metrics["end"]


def test_card_is_made_from_the_manifest(tiny_zoo):
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    card = (tiny_zoo / "tiny_digits/README.md").read_text(encoding="utf-8")
    assert card == card_text(entry)
    for text in (
        "# tiny_digits",
        "Two tiny networks.",
        f"| start | 3 | {100 * entry.metrics['start']['train_accuracy']:.2f} % |",
        f"| tiny_digits/end.weights.h5 | {entry.files['end'].size} |",
        entry.files["end"].sha256,
        "mc-train --recipe=tiny_digits --seed=3",
        "| epochs | 5 |",
        "Licence of the weights: Apache-2.0.",
    ):
        assert text in card


def test_refreshing_keeps_what_people_wrote_and_counts_new_weights_only(tiny_zoo, runs):
    packing.add(tiny_zoo, *runs, notes="From a test.", history="Begun twice.")
    assert packing.add(tiny_zoo, *runs).history == "Begun twice."
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    assert (entry.version, entry.description) == (1, "Two tiny networks.")
    packing.add(tiny_zoo, *runs[::-1], description="Exchanged.")
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    assert (entry.version, entry.description) == (2, "Exchanged.")
    assert (entry.notes, entry.history) == ("From a test.", "")
    assert "From a test." in (tiny_zoo / "tiny_digits/README.md").read_text(encoding="utf-8")


@pytest.fixture
def change_weights(runs, tmp_path):
    """A function that copies both runs, with `change(kernels, biases)` applied to their weights."""

    def changed(change):
        copies = [shutil.copytree(run, tmp_path / run.name) for run in runs]
        for run in copies:
            with h5py.File(run / training.WEIGHTS_FILE, "r+") as h5:
                layers = [h5[f"layers/{name}/vars"] for name in ("dense", "dense_1", "dense_2")]
                change([layer["0"] for layer in layers], [layer["1"] for layer in layers])
            card = json.loads((run / training.CARD_FILE).read_text())
            card["weights"]["sha256"] = sha256_of_file(run / training.WEIGHTS_FILE)
            recipe = Recipe(**card["recipe"])
            data = datasets.load_data(recipe.dataset)
            card["metrics"] = training.measure(recipe, run / training.WEIGHTS_FILE, data)
            (run / training.CARD_FILE).write_text(json.dumps(card))
        return copies

    return changed


def test_kernels_are_stored_in_float16_where_nothing_changes(change_weights, tmp_path):
    def round_kernels(kernels, biases):
        for kernel in kernels:
            kernel[...] = kernel[...].astype("float16")

    entry = packing.add(tmp_path / "zoo", *change_weights(round_kernels))
    arrays = datasets_of(tmp_path / "zoo" / entry.files["start"].path)
    kinds = {(array.ndim, array.dtype.name) for array in arrays.values()}
    assert kinds == {(1, "float32"), (2, "float16")}
    assert not any(name.startswith("optimizer") for name in arrays)


def test_weights_that_float16_would_spoil_stay_in_float32(change_weights, tmp_path):
    def scale(kernels, biases):
        # One layer up and the next down leaves the function alone; float16 ends at 65504.
        kernels[0][...] *= 1e6
        biases[0][...] *= 1e6
        kernels[1][...] *= 1e-6

    entry = packing.add(tmp_path / "zoo", *change_weights(scale))
    arrays = datasets_of(tmp_path / "zoo" / entry.files["start"].path)
    assert {array.dtype.name for array in arrays.values()} == {"float32"}
    assert entry.metrics["start"]["test_accuracy"] > 0.3


def test_unfinished_and_altered_runs(runs, tmp_path):
    unfinished, altered = tmp_path / "unfinished", tmp_path / "altered"
    shutil.copytree(runs[0], unfinished)
    (unfinished / training.CARD_FILE).unlink()
    shutil.copytree(runs[0], altered)
    with open(altered / training.WEIGHTS_FILE, "ab") as file:
        file.write(b"more")
    for broken, message in ((unfinished, "No such file"), (altered, "was altered")):
        with pytest.raises(ValueError, match=f"does not hold a finished run .*{message}"):
            packing.add(tmp_path / "zoo", broken, runs[1])
    with pytest.raises(ValueError, match=r"There is no folder .*nowhere; check the name"):
        packing.add(tmp_path / "zoo", runs[0], tmp_path / "nowhere")
    assert not (tmp_path / "zoo").exists()


def test_runs_that_are_no_pair(runs, tmp_path):
    with pytest.raises(ValueError, match="needs two seeds; both runs have seed 3"):
        packing.add(tmp_path / "zoo", runs[0], runs[0])
    other = shutil.copytree(runs[1], tmp_path / "other")
    card = json.loads((other / training.CARD_FILE).read_text())
    card["recipe"]["epochs"] = 6
    (other / training.CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(ValueError, match="two runs of one recipe; these differ in epochs"):
        packing.add(tmp_path / "zoo", runs[0], other)


def test_entry_says_in_which_precision_the_runs_were(runs, tmp_path):
    mixed = shutil.copytree(runs[1], tmp_path / "mixed")
    card = json.loads((mixed / training.CARD_FILE).read_text())
    assert card["dtype_policy"] == "float32"
    card["dtype_policy"] = "mixed_bfloat16"
    (mixed / training.CARD_FILE).write_text(json.dumps(card))
    entry = packing.add(tmp_path / "zoo", runs[0], mixed)
    assert entry.training["dtype_policy"] == "float32 and mixed_bfloat16"


def test_folder_of_something_else_is_left_alone(runs, tmp_path):
    (tmp_path / "tiny_digits").mkdir()
    (tmp_path / "tiny_digits/code.py").write_text("precious")
    with pytest.raises(ValueError, match="exists and is no entry of that zoo"):
        packing.add(tmp_path, *runs)
    assert (tmp_path / "tiny_digits/code.py").read_text() == "precious"


def test_write_weights_rounds_to_nearest(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, bias_initializer="ones")])
    kernel = np.array([[1 / 3, -2.5], [1e-3, 1234.567], [0.0, -0.1]], "float32")
    model.set_weights([kernel, np.array([1 / 3, 2 / 3], "float32")])
    write_weights(model, tmp_path / "half.weights.h5", half_precision=True)
    write_weights(model, tmp_path / "full.weights.h5", half_precision=False)
    for name, expected in (("half", kernel.astype("float16").astype("float32")), ("full", kernel)):
        model.set_weights([np.zeros_like(kernel), np.zeros(2)])
        model.load_weights(tmp_path / f"{name}.weights.h5")
        np.testing.assert_array_equal(model.get_weights()[0], expected)
        np.testing.assert_array_equal(model.get_weights()[1], np.float32([1 / 3, 2 / 3]))
