"""Curves along paths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from mc_keras.plotting import plot_paths
from mc_keras.plotting.style import method_styles
from tests.reports import path_report, path_reports


def curves(figure):
    """Method to the data of its line."""
    return {
        line.get_gid().removeprefix("method:"): line
        for line in figure.axes[0].lines
        if line.get_gid() and line.get_label()[0] != "_"
    }


def test_every_method_is_drawn_in_per_cent_and_in_its_style():
    reports = path_reports(linear=0.4, bezier=0.01)
    lines = curves(plot_paths(reports, "test_accuracy"))
    styles = method_styles(reports)
    assert set(lines) == set(reports)
    for method, line in lines.items():
        np.testing.assert_array_equal(line.get_xdata(), reports[method].t)
        np.testing.assert_allclose(line.get_ydata(), 100 * reports[method]["test_accuracy"])
        assert to_hex(line.get_color()) == styles[method].color


@given(st.lists(st.integers(50, 500), min_size=2, max_size=5, unique=True))
def test_the_legend_goes_from_good_to_bad(depths):
    reports = {f"m{i}": path_report(f"m{i}", depth / 1000) for i, depth in enumerate(depths)}
    for name in ("test_accuracy", "train_loss"):
        legend = plot_paths(reports, name).axes[0].get_legend()
        listed = [text.get_text().split()[-1] for text in legend.get_texts()]
        assert listed == sorted(reports, key=lambda m: depths[int(m[1:])])


def test_the_legend_tells_the_worst_values():
    legend = plot_paths(path_reports(arc=0.2), "test_accuracy").axes[0].get_legend()
    assert legend.get_texts()[0].get_text().split() == ["76.0", "%", "arc"]


def test_the_axes_go_from_end_to_end_and_hold_all_values():
    reports = path_reports(linear=0.4, arc=0.2)
    axes = plot_paths(reports, "train_accuracy").axes[0]
    assert axes.get_xlim() == (0, 1)
    low, high = axes.get_ylim()
    assert low < 100 * reports["linear"].worst("train_accuracy") < 99.0 < high <= 100.5
    assert axes.get_ylabel() == "train accuracy (%)"


def test_losses_of_a_metric_share_the_kind_of_axis():
    # On the test data alone the range would not call for a logarithm.
    reports = path_reports(linear=0.4, bezier=0.001)
    scales = {
        name: plot_paths(reports, name).axes[0].get_yscale() for name in reports["linear"].names
    }
    assert scales == {
        "train_loss": "log",
        "test_loss": "log",
        "train_accuracy": "linear",
        "test_accuracy": "linear",
    }


def test_values_that_are_not_finite_are_crosses_and_the_rest_is_drawn():
    reports = {"arc": path_report("arc", 0.1, nan_at=[5, 6]), "linear": path_report("linear", 0.4)}
    figure = plot_paths(reports, "test_loss")
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 1
    np.testing.assert_allclose(crosses[0].get_xdata(), reports["arc"].t[[5, 6]])
    assert np.isnan(curves(figure)["arc"].get_ydata()).sum() == 2
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[-1].split() == ["nan", "arc"]


def test_a_path_of_nothing_but_nan_can_be_drawn(tmp_path):
    report = path_report("arc", 0.1, nan_at=range(21))
    plot_paths({"arc": report}, "test_loss").savefig(tmp_path / "nan.png")
    assert (tmp_path / "nan.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least one path report"):
        plot_paths({})
    with pytest.raises(ValueError, match="'arc' has no 'test_f1'; it has train_loss"):
        plot_paths(path_reports(arc=0.1), "test_f1")
