"""One run that measures and writes; killed, it goes on; rows that are done are kept."""

import contextlib
import csv
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.locks import locked
from mc_keras.reproduction import Chains, reproduce
from mc_keras.reproduction.kept_reports import KeptReports
from tests.reproduction.conftest import TABLE

SETTINGS = {"chains": Chains(epochs=1), "num_points": 5, "verbose": 0}


class Killed(BaseException):
    """Not an error that anything could catch."""


def files(folder):
    """All but locks."""
    found = (p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock"))
    return {p.relative_to(folder).as_posix(): p for p in found}


def made(folder):
    """When each report was written."""
    return {n: p.stat().st_mtime_ns for n, p in files(folder).items() if n.startswith("pairs/")}


@pytest.fixture
def one(pairs):
    return {"one": pairs["one"]}


def test_a_run_writes_tables_figures_and_reports(reproduced):
    folder, result = reproduced
    assert result.rows == ["linear", "arc", "polychain", "polychain5", "ends"]
    curves = [
        f"curves_{pair}_{split}.png" for pair in ("one", "two") for split in ("train", "test")
    ]
    reports = [f"pairs/{pair}/{row}.json" for pair in ("one", "two") for row in result.rows]
    tables = ["table.md", "table.csv", "table.json", "table.png"]
    assert set(files(folder)) == {*curves, *reports, *tables}


def test_the_files_hold_what_was_measured(reproduced):
    folder, result = reproduced
    record = json.loads((folder / "table.json").read_text())
    assert record["provenance"]["command"] == "mc-reproduce --tiny"
    assert set(record["provenance"]["pairs"]) == {"one", "two"}
    lines = list(csv.DictReader((folder / "table.csv").open()))
    assert [(line["row"], line["split"]) for line in lines] == [
        (row, split) for row in result.rows for split in ("train", "test")
    ]
    for line in lines:
        row, split = line["row"], line["split"]
        here = result.figure(row, split)
        written = record["rows"][row][split]
        assert written["here"] == {"mean": here.mean, "sd": here.sd, "doubtful": False}
        assert float(line["mean"]) == pytest.approx(here.mean, abs=6e-4)
        assert float(line["gap"]) == pytest.approx(result.gap(row, split), abs=6e-4)
        paper = result.published(row, split)
        assert line["paper_mean"] == ("" if paper is None else f"{paper.mean:.3f}")
        for pair, report in result.reports[row].items():
            np.testing.assert_allclose(
                record["rows"][row]["pairs"][pair][f"{split}_accuracy"],
                100 * report[f"{split}_accuracy"],
            )
    assert record["rows"]["polychain5"]["connector"]["epochs"] == 1


def test_rows_that_are_done_are_kept_and_rows_come_in_any_order(one, splits, tmp_path):
    first = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert first.rows == ["arc", "ends"]
    before = made(tmp_path)
    second = reproduce(TABLE, one, splits, tmp_path, rows=["slerp", "linear"], **SETTINGS)
    assert second.rows == ["linear", "arc", "slerp", "ends"]
    after = made(tmp_path)
    assert {name: after[name] for name in before} == before
    third = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert third.rows == second.rows
    assert made(tmp_path) == after
    np.testing.assert_array_equal(third.worst("arc", "train"), first.worst("arc", "train"))


def test_rows_are_told_as_soon_as_they_are_measured(one, splits, tmp_path, capsys):
    settings = SETTINGS | {"verbose": 1}
    result = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **settings)
    train, test = (result.worst("arc", split)[0] for split in ("train", "test"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["ends (one)", "arc (one)"]
    assert f"worst accuracy train {train:.2f} %, test {test:.2f} %, " in lines[1]
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **settings)
    assert "worst accuracy" not in capsys.readouterr().err


def test_rows_made_in_another_way_are_not_taken(one, splits, pairs, tmp_path):
    reproduce(TABLE, one, splits, tmp_path, rows=["polychain", "arc"], **SETTINGS)
    for changes in (
        {"chains": Chains(epochs=2)},
        {"num_points": 4},
        {"seed": 1},
        {"train_examples": 70},
    ):
        kept = reproduce(TABLE, one, splits, tmp_path, rows=["ends"], **SETTINGS | changes)
        assert "polychain" not in kept.rows
    fewer = {"train": splits["train"], "test": [array[:50] for array in splits["test"]]}
    assert reproduce(TABLE, one, fewer, tmp_path, rows=[], **SETTINGS).rows == ["ends"]
    other = {"one": pairs["two"]}
    assert reproduce(TABLE, other, splits, tmp_path, rows=[], **SETTINGS).rows == ["ends"]


def test_rows_of_other_settings_stay_and_are_named(one, splits, tmp_path, capsys):
    def run(*rows, **changes):
        settings = SETTINGS | {"verbose": 1} | changes
        result = reproduce(TABLE, one, splits, tmp_path, rows=rows, **settings)
        lines = capsys.readouterr().err.splitlines()
        made = {line.partition(" (")[0] for line in lines if "worst accuracy" in line}
        left_out = [line for line in lines if line.startswith("Not in the table: ")]
        return set(result.rows), made, "".join(left_out).removeprefix("Not in the table: ")

    assert run("linear", "arc") == ({"ends", "linear", "arc"}, {"ends", "linear", "arc"}, "")
    rows, made, left_out = run("arc", num_points=4)
    assert (rows, made) == ({"ends", "arc"}, {"arc"})
    assert left_out.startswith("linear; measured with other settings")
    assert run("slerp") == ({"ends", "linear", "arc", "slerp"}, {"slerp"}, "")
    rows, made, left_out = run(num_points=4)
    assert (rows, made) == ({"ends", "arc"}, set())
    assert left_out.startswith("linear, slerp; ")


def test_fewer_training_examples_are_measured_and_all_make_the_path(one, splits, tmp_path):
    settings = SETTINGS | {"train_examples": 70}
    result = reproduce(TABLE, one, splits, tmp_path, rows=["linear+wa"], **settings)
    path = mc.connect(*one["one"], "linear+wa", splits)
    few = {"train": tuple(array[:70] for array in splits["train"]), "test": splits["test"]}
    expected = mc.evaluate_path(path, few, 5, verbose=0)
    for split in ("train", "test"):
        worst = 100 * expected.worst(f"{split}_accuracy")
        np.testing.assert_allclose(result.worst("linear+wa", split), [worst])
    assert "70 training and 90 test examples" in (tmp_path / "table.md").read_text()


def test_a_table_says_how_thoroughly_it_is_measured_unless_told_otherwise(one, splits, tmp_path):
    table = TABLE._replace(num_points=4, train_examples=70, fit_examples=60)
    result = reproduce(table, one, splits, tmp_path, rows=["linear+wa"], verbose=0)
    assert {0.0, 1 / 3, 2 / 3, 1.0} <= set(result.reports["linear+wa"]["one"].t)
    assert result.provenance["measured_on"]["train"] == 70
    assert result.connector("linear+wa")["num_examples"] == 60
    stated = "knots of the path, layers solved for on 60 training examples drawn at random."
    assert stated in (tmp_path / "table.md").read_text()
    others = {"num_points": 5, "train_examples": 1000, "fit_examples": 1000, "verbose": 0}
    result = reproduce(table, one, splits, tmp_path, rows=["arc"], **others)
    assert len(result.reports["arc"]["one"].t) == 5
    assert result.provenance["measured_on"]["train"] == len(splits["train"][1])
    assert "5 positions and the knots of the path. " in (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_a_row_that_a_pair_lacks_is_not_averaged_over_the_others(one, pairs, splits, tmp_path):
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    both = reproduce(TABLE, pairs, splits, tmp_path, rows=["linear"], **SETTINGS)
    assert both.rows == ["linear", "ends"]
    assert reproduce(TABLE, pairs, splits, tmp_path, rows=["arc"], **SETTINGS).pairs == [*pairs]


def test_a_run_that_was_killed_while_it_measured_goes_on(one, splits, tmp_path, monkeypatch):
    whole = reproduce(TABLE, one, splits, tmp_path / "whole", rows=["polychain"], **SETTINGS)
    folder = tmp_path / "killed"

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("mc_keras.evaluation.path_report.PathReport.save", die)
        with pytest.raises(Killed):
            reproduce(TABLE, one, splits, folder, rows=["polychain"], **SETTINGS)
    left = {"pairs/one/paths/ends.path", "pairs/one/unfinished/ends.checkpoint"}
    assert set(files(folder)) == left
    reproduce(TABLE, one, splits, folder, rows=[], **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr("mc_keras.evaluation.engine.Engine.run", die)
        with pytest.raises(Killed):
            reproduce(TABLE, one, splits, folder, rows=["polychain"], **SETTINGS)
    path = folder / "pairs/one/paths/polychain.path"
    trained = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("mc_keras.connectors.CurveFitting.connect", die)  # never trained again
        result = reproduce(
            TABLE, one, splits, folder, rows=["polychain"], keep_paths=True, **SETTINGS
        )
    assert path.read_bytes() == trained
    np.testing.assert_array_equal(
        result.reports["polychain"]["one"]["train_loss"],
        whole.reports["polychain"]["one"]["train_loss"],
    )
    assert not [name for name in files(folder) if "checkpoint" in name]


@pytest.mark.slow
def test_a_damaged_report_is_measured_again(one, splits, tmp_path):
    first = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    file = tmp_path / "pairs/one/arc.json"
    file.write_bytes(file.read_bytes()[:-100])
    second = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert mc.PathReport.load(file).method == "arc"
    np.testing.assert_array_equal(second.worst("arc", "test"), first.worst("arc", "test"))


def nested(record):
    return "[" * 100_000


def emptied(record):
    return json.dumps({"format": record["format"], "format_version": 1})


def without(key):
    """What a report says of how it was made, without one thing; as if it had never had a digest."""

    def change(record):
        metadata = {name: value for name, value in record["metadata"].items() if name != key}
        kept = {name: value for name, value in record.items() if name != "sha256"}
        return json.dumps(kept | {"metadata": metadata})

    change.__name__ = f"without_{key}"
    return change


def with_false_accuracies(record):
    values = record["values"] | {"test_accuracy": [1.0] * len(record["t"])}
    return json.dumps(record | {"values": values})


def with_accuracies_that_are_none(record):
    values = record["values"] | {"test_accuracy": ["NaN"] * len(record["t"])}
    kept = {name: value for name, value in record.items() if name != "sha256"}
    return json.dumps(kept | {"values": values})


@pytest.mark.parametrize("wanted", [True, False], ids=["asked for", "another row"])
@pytest.mark.parametrize(
    "damage",
    [
        *(nested, emptied, with_false_accuracies, with_accuracies_that_are_none),
        *map(without, ("provenance", "evaluation", "seconds", "examples")),
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_row_that_is_not_what_was_written_counts_as_absent(
    one, splits, reproduced, tmp_path, damage, wanted
):
    shutil.copytree(reproduced[0] / "pairs/one", tmp_path / "pairs/one")
    file = tmp_path / "pairs/one/arc.json"
    file.write_text(damage(json.loads(file.read_text())))
    rows = ["arc"] if wanted else ["linear"]
    result = reproduce(TABLE, one, splits, tmp_path, rows=rows, **SETTINGS)
    assert ("arc" in result.rows) == wanted
    if wanted:
        expected = reproduced[1].reports["arc"]["one"]
        np.testing.assert_array_equal(
            mc.PathReport.load(file)["test_accuracy"], expected["test_accuracy"]
        )


def test_a_table_names_all_commands_that_its_rows_were_made_by(one, splits, tmp_path):
    def run(row, command):
        about = None if command is None else {"command": command}
        reproduce(TABLE, one, splits, tmp_path, rows=[row], about=about, **SETTINGS)
        return (tmp_path / "table.md").read_text()

    run("arc", None)  # as the reports of earlier versions, which tell none
    assert "Made by `first`.\n" in run("arc", "first")
    run("linear", "second")
    assert "Made by:\n\n- `second`\n- `third`\n" in run("slerp", "third")
    record = json.loads((tmp_path / "table.json").read_text())
    assert record["provenance"]["commands"] == ["second", "third"]
    assert "- `second`\n- `fourth`\n- `third`\n" in run("arc", "fourth")


def test_a_row_that_another_process_made_meanwhile_is_taken(one, splits, tmp_path, monkeypatch):
    made_by_other = {}

    @contextlib.contextmanager
    def late(file, work):
        """As if another process had held the lock before."""
        if not made_by_other:
            made_by_other["begun"] = True
            reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
            made_by_other.update(made(tmp_path))
        with locked(file, work):
            yield

    monkeypatch.setattr("mc_keras.reproduction.kept_reports.locked", late)
    result = reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert result.rows == ["arc", "ends"]
    assert made(tmp_path).items() <= made_by_other.items()


def test_a_table_has_the_rows_that_another_process_made_meanwhile(
    pairs, splits, tmp_path, monkeypatch
):
    get, others = KeptReports.get, []

    def late(self, row, bar, **options):
        if row == "linear" and self._folder.name == "two" and not others:
            others.append(reproduce(TABLE, pairs, splits, tmp_path, rows=["arc"], **SETTINGS))
        return get(self, row, bar, **options)

    monkeypatch.setattr(KeptReports, "get", late)
    result = reproduce(TABLE, pairs, splits, tmp_path, rows=["linear"], **SETTINGS)
    assert others[0].rows == ["arc", "ends"]
    assert result.rows == ["linear", "arc", "ends"]


TWO = """
import sys
import numpy as np
import mc_keras as mc
from mc_keras.reproduction import reproduce
from tests.reproduction.conftest import TABLE
from tests.networks import classification_data, dense_network

x, y = classification_data((5,))
networks = [dense_network(seed) for seed in range(3)]
pairs = {"one": networks[:2], "two": networks[1:]}
rows = sys.argv[2].split(",")
splits = {"train": (x, y), "test": (x[:90], y[:90])}
print("ready", flush=True)
sys.stdin.readline()
reproduce(TABLE, pairs, splits, sys.argv[1], rows=rows, num_points=5)
"""


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path):
    shared = "linear,linear+wa,arc+wa,ot"
    commands = [
        [sys.executable, "-c", TWO, str(tmp_path), f"{shared},{own}"] for own in ("arc", "slerp")
    ]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    both = [subprocess.Popen(command, text=True, **pipes) for command in commands]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    # Each row of each pair was made once; the table that was written last has them all.
    for row in (*shared.split(","), "arc", "slerp", "ends"):
        for pair in ("one", "two"):
            assert sum(text.count(f"{row} ({pair}): worst accuracy") for text in said) == 1
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert set(rows) == {*shared.split(","), "arc", "slerp", "ends"}


@pytest.mark.slow
def test_paths_stay_when_asked_for(one, splits, tmp_path):
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], keep_paths=True, **SETTINGS)
    file = tmp_path / "pairs/one/paths/arc.path"
    assert mc.load_path(file).method == "arc"
    written = file.stat().st_mtime_ns
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert file.stat().st_mtime_ns == written
    shutil.rmtree(tmp_path / "pairs")
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], **SETTINGS)
    assert not [*pathlib.Path(tmp_path).rglob("*.path")]
    reproduce(TABLE, one, splits, tmp_path, rows=["arc"], keep_paths=True, **SETTINGS)
    assert mc.load_path(file).method == "arc"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": {}}, "at least one pair"),
        ({"data": {"train": None}}, "needs the splits 'train' and 'test'"),
        ({"rows": ["arcc"]}, "did you mean 'arc'"),
        ({"fit_examples": 0}, "at least one example, received fit_examples=0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    one, splits, tmp_path, changes, message
):
    arguments = {"pairs": one, "data": splits} | changes
    if arguments["data"] is not splits:
        arguments["data"] = {"train": splits["train"]}
    with pytest.raises(ValueError, match=message):
        reproduce(TABLE, folder=tmp_path / "out", **arguments, **SETTINGS)
    assert not (tmp_path / "out").exists()
