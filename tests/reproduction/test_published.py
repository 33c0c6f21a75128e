"""The published numbers: what must hold between them, whoever typed them."""

import pytest

from mc_keras.reproduction import TABLE_1, TABLE_2
from mc_keras.zoo.recipes import RECIPES

TABLES = [*TABLE_1.values(), *TABLE_2.values()]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_whole(table):
    names = [row.name for row in table.rows]
    assert len(set(names)) == len(names)
    assert names[-1] == "ends"
    assert table.pair in RECIPES
    assert all(row.label for row in table.rows)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_path_is_better_than_its_ends(table):
    ends = table.rows[-1]
    for row in table.rows:
        for split in ("train", "test"):
            figure = getattr(row, split)
            assert figure is None or 0 < figure.mean <= getattr(ends, split).mean


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_what_contradicts_its_neighbours_is_marked(table):
    for row in table.rows:
        # In all but the networks that know nothing, paths are better on what they were made from.
        if row.train is not None and row.train.mean > 11:
            assert (row.train.mean >= row.test.mean) or row.train.doubtful


def test_one_number_of_each_table():
    cells = [
        (TABLE_1["mnist"], "ot+wa", 98.92, 97.91),
        (TABLE_1["cifar10"], "ot", 66.19, 56.49),
        (TABLE_2["fc3"], "ot+bfly", 81.95, 59.11),
        (TABLE_2["conv2fc1"], "arc+wa", 77.36, 73.77),
        (TABLE_2["vgg16"], "polychain", 99.69, 91.25),
    ]
    for table, name, train, test in cells:
        row = table.row(name)
        assert (row.train.mean, row.test.mean) == (train, test)
    assert len([row for row in TABLE_1["mnist"].rows if row.test]) == 11
    assert len([row for row in TABLE_2["fc3"].rows if row.test]) == 10
    assert not any(row.test for row in TABLE_2["resnet20"].rows)


def test_a_person_waits_for_some_minutes():
    for table in TABLES:
        effort = (table.num_points, table.train_examples, table.fit_examples)
        one_layer = table in TABLE_1.values()
        assert effort == ((31, None, None) if one_layer else (11, 10_000, 20_000))


def test_a_row_that_the_paper_has_not():
    row = TABLE_1["mnist"].row("slerp")
    assert (row.label, row.train, row.test) == ("slerp", None, None)
