"""The table of the terminal."""

import re

from mc_keras.reporting import comparison_table


def test_every_method_has_a_line_with_all_its_cells(comparison):
    lines = comparison_table(comparison).split("\n")
    rows = {line.split()[0]: line.replace("*", " ").split()[1:] for line in lines[4:]}
    assert set(rows) == {"linear", "arc", "bezier"}
    for method, cells in rows.items():
        assert cells == [column.texts[method] for column in comparison.columns()]


def test_only_the_best_path_is_marked(comparison):
    marked = [line.split()[0] for line in comparison_table(comparison).split("\n") if "*" in line]
    assert marked == ["bezier"]


def test_the_cells_of_a_column_end_where_its_title_ends(comparison):
    lines = comparison_table(comparison).split("\n")
    ends = {
        tuple(m.end() for m in re.finditer(r"\S+", line[10:])) for line in [lines[2], *lines[4:]]
    }
    assert len(ends) == 1


def test_the_table_fits_on_a_wide_terminal(comparison):
    assert max(map(len, comparison_table(comparison).split("\n"))) <= 120
