import json
import os
import subprocess
import sys

import keras
import pytest

from mc_keras.tools.benchmarks import evaluation
from tests.tools.commands import run_command


def run(*flags):
    command = [sys.executable, "-m", "mc_keras.tools.benchmark", *flags]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_the_engine_and_the_plain_loop_agree(tmp_path):
    file = tmp_path / "benchmark.json"
    result = run(
        "--parts=evaluation",
        "--cases=fc_mnist,resnet20_cifar10",
        "--random_data",
        "--examples=40",
        "--points=3",
        "--plain_points=1",
        "--method=arc",
        f"--output={file}",
    )
    assert result.returncode == 0, result.stderr
    record = json.loads(file.read_text())
    assert set(record["evaluation"]["cases"]) == {"fc_mnist", "resnet20_cifar10"}
    for figures in record["evaluation"]["cases"].values():
        assert figures["points"] == 3
        assert figures["examples"] == 80
        assert figures["difference"] < 1e-4
        assert 0 < figures["engine_share"] < 1.5
        assert figures["ratio"] == pytest.approx(figures["plain_s"] / figures["engine_s"])
    assert "fc_mnist" in result.stdout
    assert "scaled from 1 points" in result.stdout


def test_operations_are_counted():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(7),
            keras.layers.Dense(2),
        ]
    )
    first, rest = evaluation.flops(model)
    assert first == 2 * 3 * 3 * 3 * 5 * 6 * 6
    assert rest == 2 * (5 * 6 * 6 * 7 + 7 * 2)


@pytest.mark.slow
def test_the_parts_of_a_construction_are_measured(tmp_path):
    file = tmp_path / "benchmark.json"
    result = run("--parts=units,adjustment", "--random_data", "--examples=300", f"--output={file}")
    assert result.returncode == 0, result.stderr
    record = json.loads(file.read_text())
    assert 0 < record["units"]["resnet50_s"] < 60
    one = record["adjustment"]["one"]
    assert one["difference"] < 1e-5
    assert 0 < one["peak_gb"] < 1
    assert "weight adjustment of 2001 by 300" in result.stdout


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--cases=fc", "There is no case 'fc'; the cases are fc_mnist"),
        ("--cases=", "--cases is empty; name cases of fc_mnist, "),
        ("--parts=unit", "There is no part 'unit'; the parts are evaluation, units, matching"),
        ("--parts=", "--parts is empty; name parts of evaluation, units, matching"),
        ("--method=arcc", "'arcc': did you mean 'arc'"),
        (f"--output={os.devnull}/figures.json", "is a file, not a folder; choose another place"),
    ],
)
def test_what_cannot_be_measured_or_written_is_told_at_once(flag, message):
    result = run_command("benchmark", flag)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
