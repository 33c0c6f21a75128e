"""The lines are the numbers."""

import numpy as np
import pytest

from mc_keras.plotting.style import method_styles
from mc_keras.reproduction import StudyResult
from mc_keras.reproduction.study_figure import plot_study


@pytest.fixture(scope="module")
def axes(studied):
    (axes,) = plot_study(studied).axes
    return axes


def test_lines_are_the_worst_test_accuracies(axes, studied):
    lines = {text.get_text(): line for text, line in zip(*legend(axes), strict=True)}
    drawn = {line.get_label(): line for line in axes.lines if line.get_label() in lines}
    assert set(drawn) == set(studied.rows)
    for row, line in drawn.items():
        sizes = [8] if row == "arc" else [8, 16]
        np.testing.assert_allclose(line.get_xdata(), sizes, rtol=0.03)
        means = [studied.figure(row, size, "test").mean for size in sizes]
        np.testing.assert_allclose(line.get_ydata(), means)
        assert axes.get_ylim()[0] < min(means)
        assert max(means) < axes.get_ylim()[1]
        if row != "ends":
            assert line.get_color() == method_styles([row])[row].color
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16"]


def test_methods_at_a_single_size_do_not_cover_each_other(studied):
    (axes,) = plot_study(StudyResult(studied.study, {8: studied.results[8]})).axes
    (drawn,) = {len(line.get_xdata()) for line in axes.lines}
    assert drawn == 1
    assert len({line.get_xdata()[0] for line in axes.lines}) == len(studied.rows)


def test_the_legend_is_from_good_to_bad(axes, studied):
    last = {row: 8 if row == "arc" else 16 for row in studied.rows}
    named = [text.get_text() for text in legend(axes)[0]]
    means = [studied.figure(row, last[row], "test").mean for row in named]
    assert means == sorted(means, reverse=True)


def test_the_height_of_a_line_falls_with_the_logarithm_of_the_error(axes):
    to_height = axes.get_yscale() == "function" and axes.yaxis.get_transform().transform
    steps = np.diff(to_height(np.array([101 - 8, 101 - 4, 101 - 2, 100.0])))
    np.testing.assert_allclose(steps, steps[0])
    assert steps[0] > 0


def legend(axes):
    return axes.get_legend().get_texts(), axes.get_legend().get_lines()
