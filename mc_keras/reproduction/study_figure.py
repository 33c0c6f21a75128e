"""A study as lines: worst test accuracy against size."""

from typing import TYPE_CHECKING

import numpy as np

from mc_keras.plotting.style import GRID, INK, method_styles, new_figure
from mc_keras.reproduction.published import ENDS, Figure
from mc_keras.reproduction.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_SPLIT = "test"
# How far neighbours are moved apart, as a part of the axis, for their whiskers not to overlap.
_APART = 0.007
_TICKS = (0, 20, 40, 60, 80, 90, 95, 97, 98, 99, 100)


def plot_study(result: StudyResult) -> "Drawing":
    """Draw the worst test accuracy of each method against the size, on logarithmic axes.

    The vertical axis is logarithmic in the error: a method that fails leaves room to tell apart
    those that are good. Whiskers are standard deviations over the pairs, the dashed line the end
    points. The legend lists the methods from good to bad at their largest size.

    Args:
        result: What was measured.

    Returns:
        A matplotlib figure.
    """
    drawing, (ax,) = new_figure(7.0, 4.0)
    styles = method_styles(row for row in result.rows if row != ENDS)
    points = {row: _points(result, row) for row in result.rows}
    order = sorted(points, key=lambda row: -points[row][-1][1].mean)
    sizes = [*result.results]
    for place, row in enumerate(order):
        moved = max(sizes[-1] / sizes[0], 2) ** (_APART * (place - len(order) // 2))
        x = [moved * size for size, _ in points[row]]
        means = [figure.mean for _, figure in points[row]]
        if row == ENDS:
            color, look = INK, {"linestyle": (0, (4, 3)), "linewidth": 1.2}
        else:
            color, look = styles[row].color, {"linestyle": styles[row].linestyle, "linewidth": 2.0}
        ax.plot(x, means, color=color, label=row, **look)
        deviations = [figure.sd or 0.0 for _, figure in points[row]]
        ax.errorbar(x, means, deviations, fmt="o", color=color, markersize=4, elinewidth=1.0)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel(result.study.unit, color=INK, fontsize=10)
    _accuracy_axis(ax, [figure for row in points for _, figure in points[row]])
    ax.set_title(
        f"{result.study.title}, {result.study.dataset}", loc="left", fontsize=10, color=INK
    )
    ax.legend(
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=3.2,
    )
    return drawing


def _points(result: StudyResult, row: str) -> list[tuple[int, Figure]]:
    """Sizes that have a row, and its figures."""
    figures = ((size, result.figure(row, size, _SPLIT)) for size in result.results)
    return [(size, figure) for size, figure in figures if figure is not None]


def _accuracy_axis(ax: "Axes", figures: list[Figure]) -> None:
    """An axis that is logarithmic in the error, plus one point for no error to be finite."""
    ax.set_yscale("function", functions=(_height, lambda height: 101 - np.exp(-height)))
    low = _height(min(figure.mean - (figure.sd or 0.0) for figure in figures))
    high = _height(min(100.0, max(figure.mean + (figure.sd or 0.0) for figure in figures)))
    margin = 0.05 * ((high - low) or 1.0)
    limits = 101 - np.exp([margin - low, -high - margin])
    ax.set_ylim(*limits)
    if np.ptp(limits) > 10:
        ax.set_yticks([tick for tick in _TICKS if limits[0] <= tick <= limits[1]])
    ax.set_ylabel(f"worst {_SPLIT} accuracy (%)", color=INK, fontsize=10)
    ax.grid(axis="y", color=GRID, linewidth=0.8)


def _height(accuracy):
    return -np.log(np.maximum(101 - np.asarray(accuracy), 1e-6))
