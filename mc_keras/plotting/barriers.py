"""Bars of the barriers of several paths."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mc_keras.evaluation.quantities import Quantity, loss_texts, quantity
from mc_keras.plotting.ranking import check_measured
from mc_keras.plotting.style import FAINT, INK, method_styles, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mc_keras.evaluation import PathReport


def plot_barriers(
    reports: "Mapping[str, PathReport]", names: Sequence[str] = ("test_loss", "test_accuracy")
) -> "Figure":
    """Draw the barriers of several paths as bars, one pair of axes per quantity.

    The barrier is how far the path gets worse than the straight line between the values at its
    two ends. Fractions are drawn in percentage points.

    Args:
        reports: Name of the method (or another label) to its report.
        names: Which quantities, as `"<split>_<metric>"`. The first one gives the order.

    Returns:
        A matplotlib figure; `figure.savefig(file)` writes it.

    Raises:
        ValueError: If there is no report, or one of them lacks a quantity.
    """
    for name in names:
        check_measured(reports, name)
    order = sorted(reports, key=lambda method: _barrier(reports[method], names[0]))
    figure, axes = new_figure(7.2, 0.9 + 0.27 * len(order), columns=len(names))
    for ax, name in zip(axes, names, strict=True):
        shown = quantity(name, reports[order[0]].splits)
        _draw_bars(ax, {method: _barrier(reports[method], name) for method in order}, shown)
        ax.tick_params(axis="y", length=0, labelleft=ax is axes[0])
    return figure


def _barrier(report: "PathReport", name: str) -> float:
    value = report.barrier(name) * quantity(name, report.splits).factor
    return value if np.isfinite(value) else np.inf


def _draw_bars(ax: "Axes", barriers: dict[str, float], shown: Quantity) -> None:
    styles = method_styles(barriers)
    longest = max([value for value in barriers.values() if np.isfinite(value)], default=0.0) or 1.0
    values = barriers.values()
    texts = [f"{v:.1f}" for v in values] if shown.percent else loss_texts(values, decimals=3)
    for row, (method, value) in enumerate(barriers.items()):
        finite = np.isfinite(value)
        ax.barh(
            row,
            value if finite else 0.0,
            height=0.62,
            color=styles[method].color,
            gid=f"method:{method}",
        )
        ax.annotate(
            texts[row] if finite else "not finite",
            (value if finite else 0.0, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    ax.set_yticks(range(len(barriers)), list(barriers))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.16 * longest)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_color(FAINT)
    unit = "\n(percentage points)" if shown.unit else ""
    ax.set_title(
        f"barrier of {shown.split} {shown.metric}{unit}", loc="left", fontsize=10, color=INK
    )
