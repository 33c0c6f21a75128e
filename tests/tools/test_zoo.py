"""mc-zoo, run as users run it."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from mc_keras.zoo import (
    connection_recipes,
    connection_training,
    manifest,
    population_training,
    recipes,
    training,
)
from mc_keras.zoo.population_packing import add_population
from tests.tools.commands import run_command


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of two trainings, of one epoch each."""
    recipe = dataclasses.replace(recipes.get_recipe("fc_digits"), epochs=1)
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in recipe.seeds]
    for seed, folder in zip(recipe.seeds, folders, strict=True):
        training.train(recipe, seed, folder, verbose=0)
    return folders


@pytest.fixture(scope="module")
def zoo(runs, tmp_path_factory):
    """A zoo folder that `mc-zoo add` made."""
    folder = tmp_path_factory.mktemp("zoo")
    start, end = runs
    done = mc_zoo("add", f"--start={start}", f"--end={end}", f"--zoo={folder}", "--notes=A test.")
    assert done.returncode == 0, done.stderr
    assert "# fc_digits" in done.stdout
    assert "A test." in done.stdout
    return folder


def mc_zoo(*arguments, **environment):
    return run_command("zoo", *arguments, **environment)


def test_help_is_quick_and_names_every_action():
    began = time.monotonic()
    command = [sys.executable, "-m", "mc_keras.tools.zoo", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert time.monotonic() - began < 2  # under 1 s, on a machine that does nothing else
    assert done.returncode == 0
    for action in ("list", "info", "fetch", "verify", "train", "add"):
        assert f"\n{action} " in done.stdout
    assert "[ACTION [NAME ...]]" in done.stdout


@pytest.mark.parametrize("action", ["list", "info"])
def test_tensorflow_is_not_imported_to_read_the_manifest(action, zoo):
    code = (
        "import sys; from absl import flags; from mc_keras.tools import zoo\n"
        "zoo.main(flags.FLAGS(sys.argv)); assert 'keras' not in sys.modules"
    )
    command = [sys.executable, "-c", code, action, f"--source={zoo}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_list(zoo):
    entry = manifest.load_manifest(zoo)["fc_digits"]
    lines = mc_zoo("list", f"--source={zoo}").stdout.splitlines()
    start, end = (f"{entry.metrics[role]['test_accuracy']:.2%}" for role in ("start", "end"))
    assert lines[0].split() == ["name", "data", "test", "accuracy", "size"]
    assert lines[1].split()[:6] == ["fc_digits", "digits", f"{start},", end, "0.1", "MB"]
    assert mc_zoo().stdout == mc_zoo("list").stdout


def test_info_is_the_card(zoo):
    card = (zoo / "fc_digits/README.md").read_text(encoding="utf-8")
    assert mc_zoo("info", "fc_digits", f"--source={zoo}").stdout == card + "\n"


@pytest.mark.slow
def test_verify(zoo):
    done = mc_zoo("verify", "fc_digits", f"--source={zoo}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ok\n") == 8


def test_verify_ends_with_1_if_a_number_differs(zoo, tmp_path):
    mc_zoo("fetch", f"--source={zoo}", f"--zoo={tmp_path}")
    mc_zoo("fetch", "fc1_digits_rnvp_flow", f"--zoo={tmp_path}")
    entry = manifest.load_manifest(tmp_path)["fc_digits"]
    better = {**entry.metrics["end"], "test_accuracy": 0.999}
    metrics = {**entry.metrics, "end": better}
    manifest.put_entry(tmp_path, dataclasses.replace(entry, metrics=metrics))
    done = mc_zoo("verify", f"--source={tmp_path}")
    assert done.returncode == 1
    assert done.stdout.count(" ok\n") == 7
    assert "0.999000" in next(line for line in done.stdout.splitlines() if line.endswith("DIFFERS"))
    assert "1 of 8 numbers differ from the manifest." in done.stdout
    assert "fc1_digits_rnvp_flow  only the file could be checked" in done.stdout


@pytest.mark.slow
def test_verify_goes_on_after_a_broken_file(zoo, tmp_path):
    mc_zoo("fetch", f"--source={zoo}", f"--zoo={tmp_path}")
    mc_zoo("fetch", "fc1_digits_rnvp_flow", f"--zoo={tmp_path}")
    (tmp_path / "fc_digits/end.weights.h5").write_bytes(b"short")
    card = tmp_path / "fc1_digits_rnvp_flow/README.md"
    done = mc_zoo("verify", f"--source={tmp_path}")
    assert done.returncode == 1
    broken, checked, *_ = done.stdout.splitlines()
    assert broken.startswith("fc_digits  BROKEN  ")
    assert "is truncated or another file" in broken
    assert "fc1_digits_rnvp_flow  only the file could be checked" in checked
    card.write_text(card.read_text(encoding="utf-8") + "More.", encoding="utf-8")
    done = mc_zoo("verify", "fc1_digits_rnvp_flow", f"--source={tmp_path}")
    assert done.returncode == 1
    assert "fc1_digits_rnvp_flow  README.md DIFFERS" in done.stdout
    card.unlink()
    done = mc_zoo("verify", "fc1_digits_rnvp_flow", f"--source={tmp_path}")
    assert done.returncode == 1
    assert "shows, or is gone" in done.stdout


def test_fetch_into_a_folder_and_into_the_cache(zoo, tmp_path):
    stick = tmp_path / "stick"
    assert mc_zoo("fetch", "fc_digits", f"--source={zoo}", f"--zoo={stick}").returncode == 0
    assert manifest.load_manifest(stick) == manifest.load_manifest(zoo)
    done = mc_zoo("fetch", "fc_digits", f"--source={stick}")
    assert done.stdout.split() == [
        str(stick / "fc_digits/start.weights.h5"),
        str(stick / "fc_digits/end.weights.h5"),
    ]


@pytest.mark.slow
def test_train_makes_a_pair(zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = "train", "fc_digits", f"--zoo={tmp_path / 'my_zoo'}", "--runs=mine"
    done = mc_zoo(*train, "--epochs=1")
    assert done.returncode == 0, done.stderr
    entry = manifest.load_manifest(tmp_path / "my_zoo")["fc_digits"]
    assert entry.seeds == manifest.load_manifest(zoo)["fc_digits"].seeds
    assert sorted(os.listdir(tmp_path / "mine/fc_digits")) == [
        f"seed{seed}" for seed in sorted(entry.seeds.values())
    ]
    done = mc_zoo(*train)
    assert done.returncode == 1
    assert "mine/fc_digits/seed0 holds a finished run of another recipe, seed or" in done.stderr


@pytest.mark.slow
def test_connection_model_is_added_and_verified(tmp_path):
    files = tmp_path / "V.networks", tmp_path / "pairs.networks"
    for file, seeds in zip(files, ([10, 11], [30, 31]), strict=True):
        population_training.train_population("fc1_digits", seeds, file, epochs=1, verbose=0)
    recipe = connection_recipes.get_connection_recipe("fc1_digits", "rnvp_flow")
    run, folder = tmp_path / "run", tmp_path / "zoo"
    connection_training.train_connection(recipe, *files, run, epochs=1, verbose=0)
    mc_zoo("fetch", "fc1_digits", f"--zoo={folder}")
    done = mc_zoo("add", f"--connection={run}", f"--held_out={files[1]}", f"--zoo={folder}")
    assert done.returncode == 0, done.stderr
    card = (folder / "fc1_digits_rnvp_flow/README.md").read_text(encoding="utf-8")
    assert done.stdout == card + "\n"
    done = mc_zoo("verify", "fc1_digits_rnvp_flow", f"--source={folder}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ok\n") == 4  # accuracy and loss on both splits


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A file of two networks that were trained for one epoch."""
    file = tmp_path_factory.mktemp("networks") / "10-11.networks"
    population_training.train_population("fc1_digits", [10, 11], file, epochs=1, verbose=0)
    return file


@pytest.mark.slow
def test_population_is_added_and_verified(networks, tmp_path):
    done = mc_zoo("add", f"--population={networks}", f"--zoo={tmp_path}", "--description=Two.")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "fc1_digits_10-11/README.md").read_text(encoding="utf-8")
    assert done.stdout == card + "\n"
    assert "\nTwo.\n" in card
    done = mc_zoo("verify", f"--source={tmp_path}")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" ok\n") == 6


@pytest.mark.slow
def test_entry_that_no_place_has_is_passed_over_unless_it_is_named(networks, tmp_path):
    zoo, stick = tmp_path / "zoo", tmp_path / "stick"
    add_population(zoo, networks)
    mc_zoo("fetch", "fc1_digits_rnvp_flow", f"--zoo={zoo}")
    source = f"--source={zoo}"
    assert "not here" not in mc_zoo("list", source).stdout
    (zoo / "fc1_digits_10-11/10-11.networks").unlink()
    listed = mc_zoo("list", source).stdout.splitlines()
    assert [", not here  " in line for line in listed] == [False, False, True]
    remedy = (
        "`mc-train --recipe=fc1_digits --seed=10 --count=2 --epochs=1 && mc-zoo add "
        "--population=runs/fc1_digits/10-11.networks --zoo=FOLDER` and name the new file instead, "
    )
    for action, flags in (("verify", ()), ("fetch", ()), ("fetch", (f"--zoo={stick}",))):
        done = mc_zoo(action, source, *flags)
        assert done.returncode == 0, done.stderr
        (missing,) = (line for line in done.stdout.splitlines() if "NOT HERE" in line)
        assert missing.startswith("fc1_digits_10-11  NOT HERE  No place has the zoo's file")
        assert remedy in missing
        done = mc_zoo(action, "fc1_digits_10-11", source, *flags)
        assert done.returncode == 1
        assert remedy in done.stdout + done.stderr
    assert list(manifest.load_manifest(stick).all()) == ["fc1_digits_rnvp_flow"]


def test_file_that_is_there_but_wrong_is_broken(networks, tmp_path):
    add_population(tmp_path, networks)
    (tmp_path / "fc1_digits_10-11/10-11.networks").write_bytes(b"short")
    done = mc_zoo("verify", f"--source={tmp_path}")
    assert done.returncode == 1
    assert done.stdout.startswith("fc1_digits_10-11  BROKEN  ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lits"], "There is no action 'lits'. Did you mean 'list'?"),
        (["list", "fc_digits"], "list takes no names, received 'fc_digits'."),
        (["info", "fc_digitz"], "The zoo has no entry 'fc_digitz'."),
        (["verify", "no_such_pair"], "The zoo has no entry 'no_such_pair'."),
        (
            ["verify", "--zoo=x"],
            "--zoo is of no use to verify, which takes --source, --data_dir.",
        ),
        (["info", "--epochs=3"], "--epochs is of no use to info, which takes --source."),
        (["add", "--source=x"], "--source is of no use to add, which takes --zoo, "),
        (["train"], "train needs --zoo=FOLDER."),
        (["train", "--zoo=x"], "train takes the name of one recipe"),
        (["train", "fc_digitz", "--zoo=x"], "There is no recipe 'fc_digitz'."),
        (["verify", "fc1_digits_rnvp_flo"], "Did you mean 'fc1_digits_rnvp_flow'?"),
        (["add", "--zoo=x", "--start=y"], "add needs --end=FOLDER."),
        (["add", "--zoo=x", "--connection=y"], "add needs --held_out=FILE."),
        (["add", "--connection=x", "--end=y"], "received --end and --connection; add them one"),
        (["add", "--population=x", "--end=y"], "received --end and --population; add them one"),
        (["add", "--population=x"], "add needs --zoo=FOLDER."),
        (["add", "--population=x", "--zoo=y"], "There is no file of networks x; check the name."),
        (["add", "--start=y", "--end=z", "--zoo=x"], "There is no folder y; check the name."),
        (
            ["add", "--connection=y", "--held_out=z", "--zoo=x"],
            "There is no folder y; check the name.",
        ),
        (["fetch", "--source=s3://zoo"], "must be a folder or an http, https or file URL"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_1(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = mc_zoo(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("mc-zoo: ")
    assert message in error
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_offline_says_what_is_missing_and_where_it_looked(tmp_path):
    entry = manifest.load_manifest()["fc_digits"]
    source = "--source=http://127.0.0.1:9"
    environment = {"MC_KERAS_OFFLINE": "1", "MC_KERAS_HOME": str(tmp_path)}
    sha256 = entry.files["start"].sha256
    named, all_of_them = (mc_zoo("fetch", *n, source, **environment) for n in (["fc_digits"], []))
    assert named.returncode == all_of_them.returncode == 1
    for part in ("MC_KERAS_OFFLINE is set", "http://127.0.0.1:9", sha256, str(tmp_path)):
        assert part in named.stderr
        assert part in all_of_them.stdout
    assert all_of_them.stdout.count("  NOT HERE  ") == len(manifest.load_manifest().all())


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_nobody_can_be_asked_for_is_passed_over(tmp_path, offline):
    entry = manifest.load_manifest()["fc1_digits"]
    for record in entry.files.values():
        name = pathlib.PurePosixPath(record.path).name
        cached = tmp_path / entry.name / str(entry.version) / record.sha256[:12] / name
        cached.parent.mkdir(parents=True)
        shutil.copy(manifest.ZOO_FOLDER / record.path, cached)
    source = "--source=http://127.0.0.1:9"
    environment = {"MC_KERAS_OFFLINE": offline, "MC_KERAS_HOME": str(tmp_path)}
    done = mc_zoo("fetch", source, **environment)
    assert done.returncode == 0, done.stdout
    *others, start, end = sorted(done.stdout.splitlines(), key=lambda line: "NOT HERE" not in line)
    assert [pathlib.Path(file).is_file() for file in (start, end)] == [True, True]
    assert len(others) == len(manifest.load_manifest().all()) - 1
    for line in others:
        assert "Make its like again by `" in line
    if offline == "1":
        done = mc_zoo("verify", source, **environment)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("  NOT HERE  ") == len(others)


@pytest.mark.slow
def test_fetch_goes_on_after_an_entry_that_fails(zoo, tmp_path):
    mc_zoo("fetch", f"--source={zoo}", f"--zoo={tmp_path / 'from'}")
    mc_zoo("fetch", "fc1_digits", f"--zoo={tmp_path / 'from'}")
    (tmp_path / "from/fc1_digits/end.weights.h5").write_bytes(b"short")
    source = f"--source={tmp_path / 'from'}"
    for flags in ((), (f"--zoo={tmp_path / 'to'}",)):
        done = mc_zoo("fetch", source, *flags)
        assert done.returncode == 1
        failed, *_ = done.stdout.splitlines()
        assert failed.startswith("fc1_digits  FAILED  No place has the zoo's file fc1_digits/end")
        assert "is truncated or another file" in failed
        assert "Make its like again by `" in failed
    assert list(manifest.load_manifest(tmp_path / "to").all()) == ["fc_digits"]
    named = mc_zoo("fetch", "fc1_digits", source)
    assert named.returncode == 1
    assert "is truncated or another file" in named.stderr
