"""mc-train, run as users run it."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from mc_keras.zoo.population_packing import add_population
from mc_keras.zoo.population_training import train_population
from tests.tools.commands import run_command


def command(*arguments):
    return [sys.executable, "-m", "mc_keras.tools.train", *map(str, arguments)]


def mc_train(*arguments, cwd=None):
    return run_command("train", *arguments, cwd=cwd)


def arrays_of(folder):
    found = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "dtype") else {})
        )
    return found


def test_help_is_quick():
    began = time.monotonic()
    done = subprocess.run(command("--help"), capture_output=True, text=True, check=False)
    assert time.monotonic() - began < 2  # under 1 s, on a machine that does nothing else
    assert done.returncode == 0
    for flag in ("recipe", "seed", "directory", "epochs", "data_dir", "tensorboard", "verbose"):
        assert f"--{flag}" in done.stdout or f"--[no]{flag}" in done.stdout
    assert "mc-train --recipe=fc_digits" in done.stdout


def test_tensorflow_is_not_imported_for_the_flags():
    code = "import sys; import mc_keras.tools.train; assert not {'keras', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_network_log_and_card_are_written_to_the_default_folder(tmp_path):
    done = mc_train("--recipe=fc_digits", "--seed=5", "--epochs=2", "--verbose=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = tmp_path / "runs" / "fc_digits" / "seed5"
    metrics = json.loads((folder / "card.json").read_text())["metrics"]
    train, test, last = done.stdout.splitlines()
    assert train.split()[:2] == ["train", "accuracy"]
    assert f"{metrics['train_accuracy']:.2%}" in train
    assert f"{metrics['test_accuracy']:.2%}" in test
    assert f"loss {metrics['test_loss']:.4f}" in test
    assert last == "Weights, card and log are in runs/fc_digits/seed5."
    assert len((folder / "log.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_killed_command_goes_on_where_it_was(tmp_path):
    arguments = ["--recipe=resnet_digits", "--seed=2", "--epochs=3", "--verbose=0"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert mc_train(*arguments, f"--directory={whole}").returncode == 0
    process = subprocess.Popen(command(*arguments, f"--directory={killed}"))
    while process.poll() is None and not (killed / "checkpoint.zip").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it was killed"
    assert mc_train(*arguments, f"--directory={killed}").returncode == 0
    expected, found = arrays_of(whole), arrays_of(killed)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert (killed / "log.csv").read_text() == (whole / "log.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--recipe"),
        (["--recipe=fc_digit"], "There is no recipe 'fc_digit'. Did you mean 'fc_digits'?"),
        (["--recipe=fc_digits", "--epochs=0"], "--epochs=0"),
        (["--recipe=fc_digits", "--seed=-1"], "--seed=-1"),
        (["--recipe=fc_digits", "five"], "Unexpected argument 'five'"),
        (["--recipe=fc_digits", f"--directory={os.devnull}/run"], os.devnull),
        (["--recipe=fc_digits", f"--directory={__file__}"], "is a file, not a folder; choose anot"),
        (
            ["--recipe=fc_digits", "--count=2", f"--directory={__file__}"],
            "is a file, not a folder; choose another place",
        ),
        (
            ["--recipe=fc_digits", "--directory=/proc/x"],
            "Cannot write /proc/x: a folder of its path cannot be made; choose another place.",
        ),
        (["--recipe=fc_digits", f"--data_dir={os.devnull}"], "give another `data_dir`"),
    ],
)
def test_error_is_one_sentence(arguments, message, tmp_path):
    done = mc_train(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.slow
def test_many_networks_at_once(tmp_path):
    arguments = ("--recipe=fc1_digits", "--seed=4", "--count=2", "--epochs=1", "--verbose=0")
    done = mc_train(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    assert last == "The 2 networks and their card are in runs/fc1_digits/4-5.networks."
    assert (tmp_path / "runs" / "fc1_digits" / "4-5.networks").stat().st_size > 10_000


@pytest.mark.slow
def test_connection_models_with_the_networks_that_they_need(tmp_path):
    done = mc_train(
        "--recipe=fc1_digits",
        "--connection=rnvp_flow",
        "--population=10-11",
        "--held_out=1-2",
        "--epochs=2",
        "--learning_rate=0.002",
        "--seed=3",
        "--tensorboard",
        "--verbose=0",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "fc1_digits"
    assert sorted(file.name for file in folder.iterdir() if file.suffix == ".networks") == [
        "1-2.networks",
        "10-11.networks",
    ]
    assert (folder / "rnvp_flow" / "connection.keras").exists()
    card = json.loads((folder / "rnvp_flow" / "card.json").read_text())
    changed = {name: card["connection"][name] for name in ("epochs", "learning_rate", "seed")}
    assert changed == {"epochs": 2, "learning_rate": 0.002, "seed": 3}
    assert card["networks"]["epochs"] > 2
    assert any(file.is_file() for file in (folder / "rnvp_flow" / "tensorboard").rglob("*"))


@pytest.mark.slow
def test_connection_model_of_networks_from_a_file_and_from_the_zoo(tmp_path):
    file, zoo = tmp_path / "pair.networks", tmp_path / "zoo"
    for seeds in ([1, 2], [3, 4]):
        train_population("fc1_digits", seeds, file, epochs=1, verbose=0)
        if seeds == [1, 2]:
            add_population(zoo, file)
            file.unlink()
    code = (
        "import pathlib, sys; from mc_keras.zoo import manifest\n"
        "manifest.ZOO_FOLDER = pathlib.Path(sys.argv.pop(1))\n"
        "from mc_keras.tools import train; train.run()"
    )
    flags = ("--recipe=fc1_digits", "--connection=rnvp_flow", "--epochs=1", "--verbose=0")
    networks = ("--population=fc1_digits_1-2", f"--held_out={file}")
    done = subprocess.run(
        [sys.executable, "-c", code, zoo, *flags, *networks],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "runs/fc1_digits/rnvp_flow/card.json").read_text())
    assert (card["seeds"], card["held_out_seeds"]) == ([1, 2], [3, 4])
    assert [found.name for found in (tmp_path / "runs/fc1_digits").iterdir()] == ["rnvp_flow"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--connection=arc",), "no recipe for a connection model 'arc' of 'fc1_digits'"),
        (("--connection=rnvp",), "Did you mean 'rnvp_flow'? There are recipes rnvp_bijection, "),
        (
            ("--connection=rnvp_flow", f"--held_out={__file__}"),
            "is another kind of file: files of networks, which mc-train --count writes, end in .n",
        ),
        (("--connection=rnvp_flow", "--held_out=3"), "FIRST-LAST, such as 10-25, received '3'"),
        (("--connection=rnvp_flow", "--held_out=2-3"), "is trained on, of the seeds 2;"),
        (("--connection=rnvp_flow", "--held_out=3-5"), "even number of networks, --held_out=3-5"),
        (("--connection=rnvp_flow", "--held_out=a.networks"), "no file of networks a.networks"),
        (("--connection=rnvp_flow", "--count=4"), "--count is for networks"),
        ((), "--population is for connection models"),
    ],
)
def test_connections_that_cannot_be_trained(tmp_path, flags, message):
    arguments = ("--population=1-2", "--verbose=0", *flags)
    done = mc_train("--recipe=fc1_digits", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_many_networks_that_are_not_fully_connected_leave_nothing_behind(tmp_path):
    done = mc_train("--recipe=resnet_digits", "--count=3", cwd=tmp_path)
    assert done.returncode == 1
    assert "'preactivation_resnet' has other layers: train its seeds one by one" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--learning_rate=0.1",), "--learning_rate is for connection models"),
        (("--count=2", "--tensorboard"), "logs the training of one network"),
    ],
)
def test_flags_without_effect_are_refused(tmp_path, flags, message):
    done = mc_train("--recipe=fc1_digits", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
