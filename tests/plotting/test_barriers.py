"""Bars of barriers."""

import numpy as np
import pytest

from mc_keras.plotting import plot_barriers
from tests.reports import path_report, path_reports


def test_bars_are_the_barriers_from_low_to_high():
    reports = path_reports(linear=0.4, bezier=0.01, arc=0.2)
    figure = plot_barriers(reports)
    loss, accuracy = figure.axes
    order = ["bezier", "arc", "linear"]
    assert [label.get_text() for label in loss.get_yticklabels()] == order
    np.testing.assert_allclose(
        [bar.get_width() for bar in loss.patches], [reports[m].barrier("test_loss") for m in order]
    )
    np.testing.assert_allclose(
        [bar.get_width() for bar in accuracy.patches],
        [100 * reports[m].barrier("test_accuracy") for m in order],
    )
    assert loss.yaxis_inverted()
    assert "percentage points" in accuracy.get_title(loc="left")


def test_a_barrier_that_is_not_finite_is_said_in_words():
    reports = {"arc": path_report("arc", 0.1, nan_at=[3]), "linear": path_report("linear", 0.4)}
    axes = plot_barriers(reports, ["test_loss"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2.400", "not finite"]


def test_networks_without_a_barrier_can_be_drawn():
    axes = plot_barriers(path_reports(linear=0.0), ["train_accuracy"]).axes[0]
    assert axes.texts[0].get_text() == "0.0"


def test_an_unknown_quantity_is_refused():
    with pytest.raises(ValueError, match="has no 'test_f1'"):
        plot_barriers(path_reports(linear=0.1), ["test_f1"])
