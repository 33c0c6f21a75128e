"""mc-evaluate, as users run it."""

import subprocess
import sys
import time

import numpy as np
import pytest

import mc_keras as mc
from tests.tools.commands import run_command

COMMAND = [sys.executable, "-m", "mc_keras.tools.evaluate"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, dense_pair):
    folder = tmp_path_factory.mktemp("evaluate")
    start, end, (x, y) = dense_pair
    mc.connect(start, end, "arc").save(folder / "arc.path")
    mc.connect(start, end, "linear").save(folder / "linear.path")
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    whole = (folder / "arc.path").read_bytes()
    (folder / "cut.path").write_bytes(whole[: len(whole) // 2])
    return folder


def run(place, path="arc.path", data="data.npz", *flags):
    words = [f"--path={place / path}", f"--data={place / data}", "--verbose=0", *flags]
    return run_command("evaluate", *words)


def test_prints_and_writes_what_evaluate_path_measures(place, dense_pair):
    file = place / "report.json"
    flags = ["--num_points=5", "--metrics=accuracy,sparse_categorical_crossentropy"]
    result = run(place, "arc.path", "data.npz", *flags, f"--output={file}")
    assert (result.returncode, result.stderr) == (0, "")
    x, y = dense_pair[2]
    expected = mc.evaluate_path(
        mc.load_path(place / "arc.path"), {"train": (x, y), "test": (x[:50], y[:50])}, 5, verbose=0
    )
    report = mc.PathReport.load(file)
    assert report.names[:2] == ("train_loss", "train_accuracy")
    assert len(report.names) == 6
    for name in expected.names:
        np.testing.assert_allclose(report[name], expected[name], rtol=1e-6)
    assert result.stdout == report.table() + "\n"


@pytest.mark.parametrize(
    ("path", "flags", "message"),
    [
        ("nowhere.path", [], "There is no path file"),
        ("cut.path", [], "is not a whole path file"),
        ("arc.path", ["--metrics=acuracy"], "Did you mean 'Accuracy'?"),
        ("arc.path", ["--loss=mse"], "give targets of shape (3,), or leave out this loss."),
    ],
)
def test_errors_are_one_sentence_and_leave_no_file(place, path, flags, message):
    file = place / "none.json"
    result = run(place, path, "data.npz", *flags, f"--output={file}")
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not file.exists()


@pytest.mark.slow
def test_what_cannot_be_written_is_told_before_the_measuring(place):
    result = run(place, "arc.path", "data.npz", f"--output={place}")
    assert (result.returncode, result.stdout) == (1, "")
    assert "it is a folder; choose a file name" in result.stderr
    result = run(place, "arc.path", "data.npz", f"--checkpoint={place}")
    assert "is a folder, and no evaluation checkpoint" in result.stderr


def test_a_checkpoint_of_another_path_is_refused(place):
    flags = [f"--checkpoint={place / 'checkpoint'}", "--num_points=3"]
    assert run(place, "arc.path", "data.npz", *flags).returncode == 0
    result = run(place, "linear.path", "data.npz", *flags)
    assert result.returncode == 1
    assert "its path differs" in result.stderr


def test_help_takes_less_than_a_second():
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True)
        seconds.append(time.monotonic() - began)
    assert "mc-evaluate --path=" in result.stdout
    assert min(seconds) < 1
