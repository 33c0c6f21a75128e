"""mc-connect, as users run it."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras import locks
from mc_keras.zoo.manifest import put_entry
from mc_keras.zoo.mirroring import mirror
from tests.networks import dense_network
from tests.tools.commands import run_command

COMMAND = [sys.executable, "-m", "mc_keras.tools.connect"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, dense_pair):
    """A folder with two networks, their data, and things that are not what they should be."""
    folder = tmp_path_factory.mktemp("place")
    start, end, (x, y) = dense_pair
    start.save(folder / "a.keras")
    end.save(folder / "b.keras")
    config = json.loads(start.to_json())
    relu = json.dumps(config).replace('"relu"', '"tanh"')
    keras.models.model_from_json(relu).save(folder / "tanh.keras")
    dense_network(0, widths=(6, 7)).save(folder / "wide.keras")
    whole = (folder / "a.keras").read_bytes()
    (folder / "a.weights.h5").write_bytes(whole[:9])
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    splits = {"x_train": x, "y_train": y, "x_test": x[:50], "y_test": y[:50]}
    np.savez(folder / "data.npz", **splits)
    np.savez(folder / "flat.npz", **{**splits, "x_test": x[:50, :-1]})
    np.savez(folder / "labels.npz", **{**splits, "y_train": y + 1})
    np.savez(folder / "half.npz", x_train=x)
    np.save(folder / "one.npy", x)
    shutil.copy(folder / "one.npy", folder / "one.npz")
    np.savez(folder / "names.npz", **{**splits, "y_train": np.array([*"ab", None], dtype=object)})
    (folder / "file").write_text("not a folder")
    return folder


def flags(place, **changes):
    """Flags of a short run; `None` leaves one out."""
    values = {
        "start": place / "a.keras",
        "end": place / "b.keras",
        "data": place / "data.npz",
        "methods": "linear,arc",
        "num_points": 5,
        "output_dir": place / "out",
    } | changes
    return [f"--{name}={value}" for name, value in values.items() if value is not None]


@pytest.fixture(scope="module")
def run(place):
    """One run of the command from start to end, with methods of all kinds."""
    return subprocess.run(
        [*COMMAND, *flags(place, methods="linear,arc,bezier", epochs=2, output_dir=place / "run")],
        capture_output=True,
        text=True,
    )


def test_a_run_prints_a_progress_bar_and_one_table(run):
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"connecting \[=+\] 100 % \d+ s\n", run.stderr)
    assert re.findall(r"^(\w+) ?\*? +\d", run.stdout, re.MULTILINE) == ["linear", "arc", "bezier"]
    assert len(re.findall(r"^\w+ \* ", run.stdout, re.MULTILINE)) == 1
    assert "report.html" in run.stdout


def test_a_run_writes_everything(run, place):
    folder = place / "run"
    record = json.loads((folder / "results.json").read_text())
    best = record["best"]
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {f"paths/{method}.path" for method in ("linear", "arc", "bezier")} <= found
    assert {
        f"figures/{split}_{name}.png"
        for split in ("train", "test")
        for name in ("accuracy", "loss")
    } <= found
    assert {"figures/barriers.png", "planes/bezier.json", "report.html"} <= found
    assert {f"figures/plane_bezier_{n}.png" for n in ("train_loss", "test_accuracy")} <= found
    for t in ("0.000", "0.250", "0.500", "0.750", "1.000"):
        assert f"savedmodels/{best}/t_{t}/saved_model.pb" in found
    hidden = {name for name in found if pathlib.PurePath(name).name.startswith(".")}
    assert hidden <= {locks.LOCK}
    assert not (folder / "unfinished").exists()


def test_all_links_of_the_page_lead_somewhere(run, place):
    links = re.findall(r'<a href="([^"]+)"', (place / "run" / "report.html").read_text())
    assert len(links) == 3 + 1 + 5
    assert all((place / "run" / link).exists() for link in links)


def test_the_results_are_those_of_the_library(run, place, dense_pair):
    *_, (x, y) = dense_pair
    record = json.loads((place / "run" / "results.json").read_text())
    path = mc.load_path(place / "run" / "paths" / "bezier.path")
    report = mc.evaluate_path(path, {"test": (x[:50], y[:50])}, num_points=5, verbose=0)
    quantity = record["methods"]["bezier"]["quantities"]["test_loss"]
    np.testing.assert_allclose(quantity["values"], report["test_loss"], rtol=1e-5)
    assert path.provenance["connector"]["epochs"] == 2
    assert "--methods=linear,arc,bezier" in record["provenance"]["command"]
    assert record["provenance"]["data"]["test"]["examples"] == 50


def test_the_exported_models_are_points_of_the_path(run, place, dense_pair):
    import tensorflow as tf

    *_, (x, _) = dense_pair
    best = json.loads((place / "run" / "results.json").read_text())["best"]
    served = tf.saved_model.load(os.fspath(place / "run" / "savedmodels" / best / "t_0.250"))
    model = mc.load_path(place / "run" / "paths" / f"{best}.path").model(0.25)
    np.testing.assert_allclose(served.serve(x[:9]), model(x[:9]), rtol=1e-4, atol=1e-5)


SCALE = '''
import keras

class Scale(keras.layers.Layer):
    """Multiplies by a number that is learned. Not registered."""

    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", shape=(), initializer="ones")

    def call(self, x):
        return self.factor * x
'''


@pytest.mark.slow
def test_layers_of_ones_own_and_networks_that_guess(place, tmp_path):
    (tmp_path / "scale.py").write_text(SCALE)
    make = """
import keras, numpy as np, scale
for name, seed in (("a", 0), ("b", 1)):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(6, "relu"), scale.Scale(), keras.layers.Dense(30)]
    keras.Sequential([keras.Input((5,)), *layers]).save(f"{name}.keras")
x = np.zeros((60, 5), "float32")
y = np.arange(60) % 30
np.savez("data.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
"""
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, capture_output=True)
    words = ["--start=a.keras", "--end=b.keras", "--data=data.npz", "--methods=linear"]
    words += ["--num_points=3", "--export_points=0", "--output_dir=out"]

    for code, message in (
        ([], "class 'Scale' that is not known here; name the Python file that defines it, --code"),
        (["--code=nowhere.py"], "There is no file 'nowhere.py' for --code; check the name."),
        (["--code=nowhere"], "Cannot import --code=nowhere: ModuleNotFoundError"),
    ):
        refused = run_command("connect", *words, *code, cwd=tmp_path)
        assert refused.returncode == 1
        assert message in refused.stderr
    result = run_command("connect", *words, "--code=scale.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "no better than chance among 30 classes: are the data scaled" in result.stderr
    saved = ["--path=out/paths/linear.path", "--data=data.npz", "--code=scale"]
    for tool, more in (("evaluate", []), ("export", ["--output_dir=models", "--positions=0.5"])):
        result = run_command(tool, *saved, *more, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "models/t_0.500/saved_model.pb").exists()

    words[words.index("--methods=linear")] = "--methods=bezier,ot"
    refused = run_command("connect", *words, "--code=scale.py", cwd=tmp_path)
    assert refused.returncode == 1
    assert "No unit rule covers the layer 'scale' of class Scale" in refused.stderr
    assert not (tmp_path / "out/paths/bezier.path").exists()  # nothing is worked at for nothing
    result = run_command("connect", *words, "--code=scale.py", "--on_unknown=end", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out/paths/ot.path").exists()
    words[words.index("--methods=bezier,ot")] = "--methods=all"
    result = run_command("connect", *words, "--epochs=1", "--code=scale.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Left out are activation_alignment, alignment, best, " in result.stderr
    assert "No unit rule covers the layer 'scale'" in result.stderr


NO_FILES = {"start": None, "end": None, "data": None}

BAD = {
    "networks": ({"start": None}, "--pair=NAME"),
    "both": ({"pair": "fc_digits"}, "--pair=NAME"),
    "source alone": ({"source": "{place}"}, "--source is where --pair is taken from"),
    "no such source": (
        {**NO_FILES, "pair": "fc_digits", "source": "{place}"},
        "`mc-zoo train fc_digits --zoo=FOLDER` and name FOLDER as the source (--source=FOLDER)",
    ),
    "no data": ({"data": None}, "Name the data"),
    "no pair": ({**NO_FILES, "pair": "fc_digit"}, "Did you mean 'fc_digits'"),
    "method": ({"methods": "linear,arcc"}, "'arcc': did you mean 'arc'"),
    "method beside all": ({"methods": "all,arcc"}, "'arcc': did you mean 'arc'"),
    "no method": ({"methods": ""}, "--methods is empty"),
    "other case": ({"methods": "Arc"}, "did you mean 'arc'"),
    "nothing trains": (
        {"methods": "linear,arc", "epochs": "3"},
        "--epochs=3 is for methods that train curves",
    ),
    "nothing reorders": (
        {"methods": "linear,arc", "on_unknown": "end"},
        "--on_unknown=end is for methods that reorder units",
    ),
    "no file": ({"start": "nowhere.keras"}, "no model file 'nowhere.keras'"),
    "weights alone": ({"start": "{place}/a.weights.h5"}, "holds weights alone"),
    "cut file": ({"end": "{place}/cut.keras"}, "not a whole .keras file"),
    "activation": ({"end": "{place}/tanh.keras"}, "tanh"),
    "widths": ({"end": "{place}/wide.keras"}, "architecture"),
    "no data file": ({"data": "nowhere.npz"}, "no data file 'nowhere.npz'"),
    "other data": ({"data": "{place}/one.npy"}, "another kind of file: data files are .npz files"),
    "half data": ({"data": "{place}/half.npz"}, "x_train, y_train, x_test, y_test"),
    "one array": ({"data": "{place}/one.npz"}, "is not a whole .npz file"),
    "names": ({"data": "{place}/names.npz"}, "holds Python objects"),
    "shape": ({"data": "{place}/flat.npz"}, "shape"),
    "labels": ({"data": "{place}/labels.npz"}, "labels"),
    "does not apply": ({"methods": "linear,rnvp_flow"}, "The zoo has no connection model"),
    "folder": ({"output_dir": "{place}/file/out"}, "is a file"),
    "no folder": ({"output_dir": "/proc/out"}, "Cannot write /proc/out: a folder of its path"),
}  # fmt: skip


@pytest.fixture(scope="module")
def refused(place):
    """What the command says to each, and the files that it left behind."""
    before = {p for p in place.rglob("*")}
    answers = {
        case: run_command(
            "connect", *flags(place, **{k: v and v.format(place=place) for k, v in changes.items()})
        )
        for case, (changes, _) in BAD.items()
    }
    left = {p for p in place.rglob("*")} - before - {place / "run", *(place / "run").rglob("*")}
    return answers, left


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_in_one_line_on_stderr(refused, case):
    answer = refused[0][case]
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1
    assert BAD[case][1] in answer.stderr


@pytest.mark.slow
def test_bad_input_leaves_nothing_behind(refused):
    assert not refused[1]


def test_a_pair_of_the_zoo_has_the_ends_that_its_card_tells(tmp_path):
    words = ["--pair=fc_digits", "--methods=arc", "--num_points=3", "--export_points=0"]
    result = run_command("connect", *words, f"--output_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "results.json").read_text())
    quantities = record["methods"]["arc"]["quantities"]
    metrics = mc.zoo.info("fc_digits").metrics
    for name in ("train_accuracy", "test_accuracy", "test_loss"):
        ends = [metrics[role][name] for role in ("start", "end")]
        np.testing.assert_allclose(np.take(quantities[name]["values"], [0, -1]), ends, atol=1e-4)
    assert record["provenance"]["data_set"] == "digits"
    assert record["provenance"]["zoo"]["recipe"] == "fc_digits"
    assert not (tmp_path / "savedmodels").exists()


def test_a_pair_is_taken_from_a_source(tmp_path):
    mirror(["fc_digits"], tmp_path / "zoo")
    entry = dataclasses.replace(mc.zoo.info("fc_digits"), description="A copy.")
    put_entry(tmp_path / "zoo", entry)
    words = ["--pair=fc_digits", "--methods=linear", "--num_points=2", "--export_points=0"]
    result = run_command("connect", *words, "--source=zoo", "--output_dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record["provenance"]["zoo"]["description"] == "A copy."


def test_help_answers_in_under_a_second():
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True)
        seconds.append(time.perf_counter() - began)
        assert result.returncode == 0
        assert "--output_dir" in result.stdout
    assert min(seconds) < 1
