"""What differs from the paper is said in the words of the connectors themselves."""

import pytest

from mc_keras.reproduction import TABLE_1, TABLE_2
from mc_keras.reproduction.differences import DIFFERENCES
from mc_keras.reproduction.rows import connector_of


@pytest.mark.parametrize("row", DIFFERENCES)
def test_options_are_filled_in(row):
    text = DIFFERENCES[row].format(**connector_of(row).get_config())
    assert not set("{}\n") & set(text)
    assert not text.endswith(".")
    assert text != DIFFERENCES[row] or "{" not in DIFFERENCES[row]


def test_every_row_but_the_line_and_the_arc_has_a_line():
    tables = (*TABLE_1.values(), *TABLE_2.values())
    rows = {row.name for table in tables for row in table.rows}
    assert rows - set(DIFFERENCES) == {"linear", "arc"}
    assert set(DIFFERENCES) <= rows
