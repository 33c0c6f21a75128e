"""The README's two tables hold what is in the result files, to the last digit."""

import json
import pathlib

import pytest

from mc_keras.reproduction import TABLE_1, TABLE_2
from mc_keras.reproduction.markdown import figure_text
from mc_keras.reproduction.published import Figure

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "zoo" / "results"
# For each network its table, and the folders of its results; what comes first counts.
TABLES = {
    1: [
        (TABLE_1["mnist"], ["table1_mnist_best", "table1_mnist"]),
        (TABLE_1["cifar10"], ["table1_cifar10_best", "table1_cifar10"]),
    ],
    2: [
        (TABLE_2["fc3"], ["table2_fc3", "table2_fc3_polychain"]),
        (TABLE_2["conv2fc1"], ["table2_conv2fc1"]),
        (TABLE_2["vgg16"], ["table2_vgg16", "table2_vgg16_arc_ot_wa"]),
        (
            TABLE_2["resnet20"],
            ["table2_resnet20_best", "table2_resnet20", "table2_resnet20_arc"],
        ),
    ],
}


def lines(number):
    """The rows of the table as the README has them: here, and in the paper in brackets."""
    columns = [(table, measured_in(folders)) for table, folders in TABLES[number]]
    names = dict.fromkeys(row.name for table, _ in columns for row in table.rows)
    order = [name for name in names if name not in ("best", "ends")] + ["best", "ends"]
    for name in order:
        cells = [
            cell(table, here, name, split) for table, here in columns for split in ("train", "test")
        ]
        if any(cells):
            label = next(
                here[name]["label"] if name in here else table.row(name).label
                for table, here in columns
                if name in here or name in [row.name for row in table.rows]
            )
            yield f"| {label} | " + " | ".join(cells) + " |"


def measured_in(folders):
    rows = {}
    for folder in folders:
        for name, row in json.loads((RESULTS / folder / "table.json").read_text())["rows"].items():
            rows.setdefault(name, row)
    return rows


def cell(table, here, name, split):
    if name not in here:
        return ""
    row = here[name][split]
    text = figure_text(Figure(**row["here"]))
    return text if row.get("paper") is None else f"{text} ({row['paper']['mean']:.2f})"


@pytest.mark.parametrize("number", TABLES)
def test_the_readme_has_the_results(number):
    readme = (ROOT / "README.md").read_text()
    expected = list(lines(number))
    assert len(expected) > 9
    missing = [line for line in expected if line not in readme.splitlines()]
    assert not missing, "\n".join(["the README should have these lines:", *missing])
