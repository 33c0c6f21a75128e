"""What tables, files and pages have in common."""

import dataclasses

import pytest

from mc_keras.reporting import Comparison
from tests.reports import path_report, path_reports


def texts(comparison):
    return {column.headings: column.texts for column in comparison.columns()}


def test_the_table_has_worst_and_mean_of_everything_and_what_the_path_costs(comparison):
    headings = [column.headings for column in comparison.columns()]
    assert headings == [
        *(
            (group, split, which)
            for group in ("accuracy (%)", "loss")
            for split in ("train", "test")
            for which in ("worst", "mean")
        ),
        ("barrier", "test", "loss"),
        ("length", "against", "line"),
        ("time", "to find", "(s)"),
    ]


def test_cells_are_what_the_report_says_in_the_units_of_the_heading(comparison):
    cells = texts(comparison)
    # 0.97 - 0.02 * 0.5 - 0.2 in the middle of the path
    assert cells["accuracy (%)", "test", "worst"]["arc"] == "76.0"
    assert cells["loss", "test", "worst"]["arc"] == "1.3100"
    assert (
        cells["loss", "test", "mean"]["arc"] == f"{comparison.reports['arc'].mean('test_loss'):.4f}"
    )
    assert cells["barrier", "test", "loss"]["arc"] == "1.2000"
    assert cells["length", "against", "line"]["arc"] == "1.20"
    assert cells["time", "to find", "(s)"]["bezier"] == "4.5"


def test_the_best_cells_are_the_highest_accuracy_and_the_lowest_loss(comparison):
    best = {column.headings: column.best for column in comparison.columns()}
    assert best["accuracy (%)", "train", "worst"] == {"bezier"}
    assert best["loss", "test", "mean"] == {"bezier"}
    # A short or quickly found path is not a good one.
    assert not best["length", "against", "line"]
    assert not best["time", "to find", "(s)"]


def test_equal_cells_are_equally_good():
    comparison = Comparison("two", path_reports(arc=0.2, slerp=0.2), {"arc": 1.0, "slerp": 1.0}, {})
    assert comparison.columns()[0].best == {"arc", "slerp"}


def test_the_best_path_is_chosen_by_the_training_data(comparison):
    assert comparison.best == "bezier"
    reports = dict(comparison.reports)
    worse_on_test = dict(reports["bezier"].values) | {"test_loss": reports["linear"]["test_loss"]}
    reports["bezier"] = dataclasses.replace(reports["bezier"], values=worse_on_test)
    assert dataclasses.replace(comparison, reports=reports).best == "bezier"


def test_a_path_with_nan_is_never_the_best():
    reports = {"arc": path_report("arc", 0.0, nan_at=[2]), "linear": path_report("linear", 0.4)}
    comparison = Comparison("nan", reports, {"arc": 0.0, "linear": 0.0}, {})
    assert comparison.best == "linear"
    assert texts(comparison)["loss", "train", "worst"]["arc"] == "nan"


def test_a_comparison_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to compare"):
        Comparison("empty", {}, {}, {})


def test_a_regression_has_losses_only():
    report = path_report("arc", 0.2)
    losses = {name: report[name] for name in report.names if name.endswith("loss")}
    comparison = Comparison(
        "regression", {"arc": dataclasses.replace(report, values=losses)}, {"arc": 0.0}, {}
    )
    assert comparison.judged_by == ["test_loss"]
    assert comparison.mapped == ["train_loss"]
    assert {group for group, *_ in texts(comparison)} == {"loss", "barrier", "length", "time"}
