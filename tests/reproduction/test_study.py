"""Which networks a size stands for, and what was measured of it."""

from mc_keras.reproduction import STUDIES


def test_the_supplements_sizes():
    width, depth = STUDIES["width"], STUDIES["depth"]
    assert [width.hidden(size) for size in width.sizes] == [
        (units,) for units in (250, 500, 1000, 2000, 4000)
    ]
    assert [depth.hidden(size) for size in depth.sizes] == [(250,) * n for n in range(1, 6)]
    assert {study.folder for study in STUDIES.values()} == {"width_digits", "depth_digits"}


def test_the_table_of_a_size_has_the_rows_asked_for_and_the_ends():
    table = STUDIES["depth"]._replace(dataset="mnist").table(2, ["arc", "linear"])
    assert [row.name for row in table.rows] == ["arc", "linear", "ends"]
    assert not any(row.test for row in table.rows)
    assert table.title == "Depth: hidden layers of 250 units, mnist: 2 hidden layers"


def test_a_row_that_a_size_lacks(studied):
    assert studied.rows == ["linear", "arc", "polychain", "polychain5", "ends"]
    result = studied.results[8]
    assert studied.figure("arc", 8, "test") == result.figure("arc", "test")
    assert studied.gap("arc", 8, "test") == result.gap("arc", "test")
    assert studied.figure("arc", 16, "test") is None
    assert studied.gap("arc", 16, "test") is None
