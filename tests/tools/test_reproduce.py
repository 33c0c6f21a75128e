"""mc-reproduce: what it prints is what it measured, which pairs it takes, what it refuses."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import mc_keras as mc
from mc_keras.zoo import training
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.populations import read_population

# Several runs of `main` in one process, as TensorFlow takes seconds to load; table 1 of MNIST has
# the zoo's networks on digits, which take no time.
MANY = """
import contextlib, io, json, sys
from absl import flags
from absl.testing import flagsaver
from mc_keras import reproduction
from mc_keras.tools import reproduce

reproduction.TABLE_1["mnist"] = reproduction.TABLE_1["mnist"]._replace(pair="fc_digits")
for words in json.load(sys.stdin):
    printed, said = io.StringIO(), io.StringIO()
    outputs = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said)
    with flagsaver.flagsaver(), outputs[0], outputs[1]:
        flags.FLAGS(["mc-reproduce", "--verbose=0", *words])
        try:
            reproduce.main([])
            error = None
        except Exception as caught:
            error = [type(caught).__name__, str(caught)]
    print(json.dumps([error, printed.getvalue(), said.getvalue()]))
"""
MNIST = ["--table=1", "--dataset=mnist"]
FIGURE = ["--figure=5", "--dataset=mnist"]
WIDTH = ["--study=width", "--num_points=3", "--training_epochs=2", "--num_pairs=1"]


# All runs are made by one fixture, which takes a minute.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    trained = folder / "runs" / "fc_digits" / "seed2"
    training.train("fc_digits", 2, trained, epochs=1, verbose=0)
    card = json.loads((trained / "card.json").read_text())
    # What the others hold makes no difference to which of them are taken.
    for seed in (0, 3, 4):
        copy = shutil.copytree(trained, trained.with_name(f"seed{seed}"))
        (copy / "card.json").write_text(json.dumps(card | {"seed": seed}))
    shutil.copytree(trained.with_name("seed0"), folder / "same" / "fc_digits" / "seed0")
    other = card | {"recipe": card["recipe"] | {"name": "conv_digits"}}
    (shutil.copytree(trained, folder / "conv") / "card.json").write_text(json.dumps(other))
    for recipe, seeds in (("fc_digits", range(1, 5)), ("fc1_digits", (2, 3))):
        file = folder / f"{recipe}.networks"
        train_population(recipe, seeds, file, epochs=1, verbose=0)
    train_population("fc_digits", range(2, 4), folder / "again.networks", epochs=2, verbose=0)
    (folder / "garbage.keras").write_text("garbage")
    (folder / "empty").mkdir()
    empty = {"schema_version": 1, "base_urls": [], "entries": {}}
    (folder / "empty" / "manifest.json").write_text(json.dumps(empty))
    return folder


@pytest.fixture(scope="module")
def answers(place):
    """Error, output and messages of each run."""
    runs = place / "runs" / "fc_digits"
    short = ["--rows=arc", "--num_points=3"]
    words = {
        "zoo": [*MNIST, *short, f"--output_dir={place / 'zoo'}"],
        "kept": [*MNIST, "--rows=linear", "--num_points=3", f"--output_dir={place / 'zoo'}"],
        "runs": [*MNIST, *short, f"--runs={place / 'runs'}", f"--output_dir={place / 'many'}"],
        "pairs": [
            *[*MNIST, *short, f"--pairs={runs / 'seed3'}:{runs / 'seed4'}"],
            f"--output_dir={place / 'pairs'}",
        ],
        "population": [
            *[*MNIST, *short, f"--populations={place / 'fc_digits.networks'}"],
            f"--output_dir={place / 'population'}",
        ],
        "other population": [*MNIST, f"--populations={place / 'fc1_digits.networks'}"],
        "no population": [*MNIST, "--populations=fc_digits"],
        "figure": [
            *["--figure=5", "--dataset=mnist", "--rows=linear+wa", "--num_points=3", "--small=60"],
            f"--output_dir={place / 'figure'}",
        ],
        "study": [*WIDTH, "--sizes=8", "--rows=arc", f"--output_dir={place / 'study'}"],
        "study again": [
            *[*WIDTH, "--sizes=8", "--rows=linear,rnvp_bijection"],
            f"--output_dir={place / 'study'}",
        ],
        "another size": [
            *[*WIDTH, "--sizes=4", "--rows=linear", f"--output_dir={place / 'study'}"],
        ],
        "study and table": [*WIDTH, *MNIST],
        "no number": [*WIDTH, "--sizes=8,many"],
        "no units": [*WIDTH, "--sizes=8,0"],
        "no size": [*WIDTH, "--sizes="],
        "no row of a study": [*WIDTH, "--rows=arcc"],
        "runs for a study": [*WIDTH, "--runs=runs", "--network=fc3"],
        "sizes of a table": [*MNIST, "--sizes=8"],
        "small of a table": [*MNIST, "--small=60"],
        "populations of a figure": [*FIGURE, "--runs=a", "--populations=b", "--pairs=a:b"],
        "settings of a figure": [
            *[*FIGURE, "--fit_examples=9", "--train_examples=9", "--epochs=3", "--keep_paths"],
        ],
        "population twice": [
            *[*MNIST, f"--populations={place / 'fc_digits.networks'},{place / 'again.networks'}"],
        ],
        "pair twice": [
            *MNIST,
            f"--runs={place / 'runs'}",
            f"--pairs={runs / 'seed2'}:{runs / 'seed3'}",
        ],
        "one network": [*MNIST, f"--pairs={runs / 'seed3'}:{runs / '.' / 'seed3'}/"],
        "no folder of runs": [*MNIST, f"--runs={place / 'nowhere'}"],
        "runs of another folder": [*MNIST, f"--runs={place / 'runs' / 'fc_digits'}"],
        "runs of the zoo": [
            *[*MNIST, *short, f"--runs={place / 'same'}", f"--output_dir={place / 'same_table'}"],
        ],
        "table of digits": ["--table=1", "--dataset=digits"],
        "no table": ["--dataset=mnist"],
        "too small": ["--figure=5", "--dataset=mnist", "--small=1442"],
        "no dataset": ["--table=1"],
        "both": ["--table=2", "--network=fc3", "--dataset=mnist"],
        "no row": [*MNIST, "--rows=arcc"],
        "connection of no row": [*MNIST, "--connections=flow.keras"],
        "no connection": [*MNIST, "--connections=iaf_flow=nowhere.keras"],
        "connection of another row": [*MNIST, "--connections=foo=nowhere.keras"],
        "garbage": [*MNIST, f"--connections=iaf_flow={place / 'garbage.keras'}"],
        "other file": [*MNIST, f"--populations={place / 'garbage.keras'}"],
        "no folders": [*MNIST, "--pairs=a:b"],
        "connections of a study": [*WIDTH, "--connections=iaf_flow=flow.keras"],
        "empty": [*MNIST, "--rows="],
        "one folder": [*MNIST, f"--pairs={runs / 'seed3'}"],
        "unfinished": [*MNIST, f"--pairs={runs / 'seed3'}:{place / 'empty'}"],
        "other recipe": [*MNIST, f"--pairs={runs / 'seed3'}:{place / 'conv'}"],
        "no networks": [*MNIST, f"--source={place / 'empty'}"],
    }
    result = subprocess.run(
        [sys.executable, "-c", MANY],
        input=json.dumps(list(words.values())),
        capture_output=True,
        text=True,
        cwd=place,
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return dict(zip(words, lines, strict=True))


def test_what_is_printed_is_what_is_measured(answers, place):
    error, printed, _ = answers["zoo"]
    assert error is None
    assert (place / "zoo" / "table.md").exists()
    pair, data = mc.zoo.load_pair("fc_digits"), mc.zoo.load_data("digits")
    report = mc.evaluate_path(mc.connect(pair.start, pair.end, "arc"), data, 3, verbose=0)
    train, test = (100 * report.worst(f"{split}_accuracy") for split in ("train", "test"))
    ends = 50 * (report["test_accuracy"][0] + report["test_accuracy"][-1])
    row = next(line for line in printed.splitlines() if line.startswith("| Arc |"))
    assert [cell.strip() for cell in row.split("|")[2:8]] == [
        f"{train:.2f}",
        "97.89 ± 0.11",
        f"{test:.2f}",
        "97.03 ± 0.14",
        f"{ends - test:.2f}",
        "0.98",
    ]
    assert str(place / "zoo") in printed


def test_a_later_run_adds_its_rows(answers, place):
    assert re.findall(r"^\| (\w+)", answers["kept"][1], re.MULTILINE)[1:] == [
        "Linear",
        "Arc",
        "End",
    ]
    assert (place / "zoo" / "table.md").read_text() in answers["kept"][1]


def test_runs_are_paired_but_for_seeds_that_the_zoo_has(answers, place):
    error, printed, said = answers["runs"]
    assert error is None
    assert "2 pairs (mean ± standard deviation) of networks: fc_digits, seeds2-3;" in printed
    assert said.startswith(f"Left out: {place / 'runs' / 'fc_digits' / 'seed4'}; there is no")


def test_pairs_are_taken_beside_the_zoos(answers, place):
    record = json.loads((place / "pairs" / "table.json").read_text())
    assert list(record["provenance"]["pairs"]) == ["fc_digits", "seeds3-4"]
    assert answers["pairs"][0] is None


def test_networks_of_a_population_are_paired_but_for_the_zoos(answers, place):
    error, _, said = answers["population"]
    assert error is None
    record = json.loads((place / "population" / "table.json").read_text())
    assert list(record["provenance"]["pairs"]) == ["fc_digits", "seeds2-3"]
    assert said.startswith(f"Left out: seed 4 of {place / 'fc_digits.networks'}; there is no")
    networks, _ = read_population(place / "fc_digits.networks")
    path = mc.connect(networks[1], networks[2], "arc")
    worst = mc.evaluate_path(path, mc.zoo.load_data("digits"), 3, verbose=0).worst("test_accuracy")
    measured = record["rows"]["arc"]["pairs"]["seeds2-3"]["test_accuracy"]
    assert min(measured) == pytest.approx(100 * worst)


def test_the_figure_is_about_few_and_all_examples(answers, place):
    error, printed, _ = answers["figure"]
    assert error is None
    record = json.loads((place / "figure" / "figure5.json").read_text())
    for size, examples in (("small", 60), ("full", 1442)):
        measured = record["sizes"][size]["linear+wa"]
        assert measured["examples"] == {"train": examples, "test": 355}
        worst = (max(measured[f"{split}_error"]) for split in ("train", "test"))
        assert re.search(rf"linear\+wa +{examples} +{next(worst):.2f} +{next(worst):.2f}", printed)
    assert (place / "figure" / "figure5.png").stat().st_size > 10_000


def test_a_study_trains_and_measures_each_size_once(answers, place):
    for case in ("study", "study again"):
        error, printed, said = answers[case]
        assert error is None
    assert said == (
        "Left out of 8 hidden units: rnvp_bijection; it does not apply to such networks here.\n"
    )
    folder = place / "study"
    assert printed.startswith("# Width: one hidden layer")
    record = json.loads((folder / "study.json").read_text())
    assert list(record["sizes"]["8"]["rows"]) == ["linear", "arc", "ends"]
    assert record["provenance"]["recipe"]["epochs"] == 2
    file = folder / "networks" / "fc1_digits_8" / "0-1_2-epochs.networks"
    measured = folder / "8" / "pairs" / "seeds0-1" / "ends.json"
    assert file.stat().st_mtime < measured.stat().st_mtime
    accuracies = [m["test_accuracy"] for m in read_population(file).info["metrics"]]
    ends = record["sizes"]["8"]["rows"]["ends"]["test"]
    assert ends["worst"] == pytest.approx([100 * accuracy for accuracy in accuracies])


def test_a_study_keeps_the_sizes_of_earlier_runs(answers, place):
    error, printed, _ = answers["another size"]
    assert error is None
    assert "| hidden units | 4 | 8 |" in printed
    assert (place / "study" / "study.md").read_text() in printed


def test_runs_that_the_zoo_has_are_told(answers, place):
    error, printed, said = answers["runs of the zoo"]
    assert error is None
    assert said == f"Left out: {place / 'same'}; the zoo's pair has all of its seeds.\n"
    assert "on 1 pair of networks: fc_digits;" in printed


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no table", "--figure=5, --study=width and --study=depth; received none of them."),
        ("study and table", "Choose one of --table=1, --table=2, --figure=5, --study=width and "),
        ("study and table", "; received --table=1 and --study=width."),
        ("no number", "whole numbers separated by commas, such as --sizes=250,500; received '8,m"),
        ("no units", "numbers of hidden units, at least 1"),
        ("no size", "numbers of hidden units, at least 1"),
        ("no row of a study", "did you mean 'arc'"),
        ("runs for a study", "--network and --runs cannot be combined with --study=width"),
        ("sizes of a table", "--sizes cannot be combined with --table=1"),
        ("small of a table", "--small cannot be combined with --table=1: a table is about"),
        (
            "populations of a figure",
            "--pairs and --runs and --populations cannot be combined with --figure=5: the figure",
        ),
        (
            "settings of a figure",
            "--fit_examples and --train_examples and --epochs and --keep_paths cannot be combined",
        ),
        ("population twice", "Two pairs are called seeds2-3, that of "),
        ("pair twice", "Two pairs are called seeds2-3, that of "),
        ("one network", "names one twice; name the folder of another"),
        ("no folder of runs", "nowhere has no finished run of 'fc_digits', which mc-train writes"),
        ("runs of another folder", "name the folder above fc_digits"),
        ("table of digits", "by --dataset, one of mnist, cifar10, for table 1"),
        ("no dataset", "by --dataset, one of mnist, cifar10, for table 1; by --network, one of"),
        ("both", "Choose the networks: by --dataset"),
        ("too small", "must have between 1 and 1441 examples, received 1442"),
        ("no row", "There is no row 'arcc': did you mean 'arc'"),
        ("connection of no row", "one file for each row, ROW=FILE,..., received 'flow.keras'"),
        ("no connection", "There is no connection model nowhere.keras; check the name."),
        ("connection of another row", "is for one of the rows rnvp_bijection, rnvp_flow, iaf_flow"),
        ("garbage", "garbage.keras is not a whole connection model: it was truncated, altered, or"),
        ("other file", "is another kind of file: files of networks, which mc-train --count writes"),
        ("no folders", "There is no folder a; check the name."),
        ("connections of a study", "--connections cannot be combined with --study=width"),
        ("empty", "--rows is empty"),
        ("one folder", "A pair is two folders, DIR_A:DIR_B, received"),
        ("unfinished", "does not hold a finished run"),
        ("no networks", "`mc-zoo train fc_digits --zoo=my_zoo` trains a pair"),
        ("other population", "has networks of the recipe 'fc1_digits', not of 'fc_digits'"),
        ("no population", "as mc-train --count writes them, or populations of the zoo, received"),
        ("other recipe", "holds a run of the recipe 'conv_digits', not of 'fc_digits'"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(answers, place, case, message):
    error, printed, _ = answers[case]
    assert error[0] == "ValueError"
    assert message in error[1]
    assert printed == ""
    assert not (place / "reproduced").exists()


@pytest.mark.real_data
def test_a_row_of_the_papers_first_table(tmp_path):
    words = [*MNIST, "--rows=linear", "--num_points=3", f"--output_dir={tmp_path}"]
    result = subprocess.run(
        [sys.executable, "-m", "mc_keras.tools.reproduce", *words], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "table.json").read_text())
    ends = record["rows"]["ends"]["pairs"]["fc_mnist"]["test_accuracy"]
    metrics = mc.zoo.info("fc_mnist").metrics
    expected = [100 * metrics[role]["test_accuracy"] for role in ("start", "end")]
    assert ends == pytest.approx(expected, abs=0.02)
