"""Curves of a measured quantity along paths."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mc_keras.evaluation.quantities import Quantity, quantity
from mc_keras.plotting.ranking import rank
from mc_keras.plotting.style import (
    FAINT,
    GRID,
    INK,
    MethodStyle,
    method_styles,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mc_keras.evaluation import PathReport

# Losses that span more than this factor are drawn on a logarithmic axis.
_LOG_RANGE = 30.0


def plot_paths(reports: "Mapping[str, PathReport]", name: str = "test_accuracy") -> "Figure":
    """Draw one quantity of several paths against the position `t`.

    A dot is the worst point of a path; the legend lists these from good to bad. The dashed line
    joins the two end points. How far a curve gets on the wrong side of it is its barrier where `t`
    is the fraction of the length travelled, as on straight lines; see `PathReport.barrier`. A value
    that is not finite is a cross on the bad side of the axes.

    Args:
        reports: Name of the method (or another label) to its report.
        name: Which quantity, as `"<split>_<metric>"`. Fractions are drawn in per cent.

    Returns:
        A matplotlib figure; `figure.savefig(file)` writes it.

    Raises:
        ValueError: If there is no report, or one of them lacks the quantity.
    """
    order = rank(reports, name)
    styles, shown = method_styles(reports), quantity(name, reports[order[0]].splits)
    figure, (ax,) = new_figure(6.4, 3.5)
    for depth, method in enumerate(order):
        _draw_curve(ax, method, reports[method], name, styles[method], zorder=4 - depth / 100)
    _draw_ends(ax, reports[order[0]], name)
    _value_axis(ax, reports, name)
    _position_axis(ax)
    ax.set_ylabel(shown.label, color=INK, fontsize=10)
    _draw_legend(ax, shown)
    return figure


def _draw_curve(
    ax: "Axes", method: str, report: "PathReport", name: str, style: MethodStyle, zorder: float
) -> None:
    """One curve, its worst point, and crosses where the value is not finite."""
    shown = quantity(name, report.splits)
    t, values = np.asarray(report.t), np.asarray(report[name], dtype=float) * shown.factor
    finite = np.isfinite(values)
    ax.plot(
        t,
        np.where(finite, values, np.nan),
        color=style.color,
        linestyle=style.linestyle,
        linewidth=2.0,
        solid_capstyle="round",
        solid_joinstyle="round",
        label=f"{shown.text(report.worst(name)):\u2007>6}  {method}",
        gid=f"method:{method}",
        zorder=zorder,
    )
    lower_is_better = report.lower_is_better(name)
    if not finite.all():
        bad = t[~finite]
        ax.plot(
            bad,
            np.full(len(bad), 0.985 if lower_is_better else 0.015),
            "x",
            color=style.color,
            markersize=5,
            transform=ax.get_xaxis_transform(),
            gid=f"method:{method}",
        )
    if finite.any():
        worst = np.nanargmax(values) if lower_is_better else np.nanargmin(values)
        ax.plot(
            t[worst],
            values[worst],
            "o",
            color=style.color,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=1.0,
            gid=f"method:{method}",
            zorder=5,
        )


def _draw_ends(ax: "Axes", report: "PathReport", name: str) -> None:
    """The two end points and the line that joins them."""
    ends = np.asarray(report[name], dtype=float)[[0, -1]] * quantity(name, report.splits).factor
    t = np.linspace(0, 1, 61)
    ax.plot(
        t,
        (1 - t) * ends[0] + t * ends[1],
        color=FAINT,
        linestyle=(0, (4, 3)),
        linewidth=1,
        zorder=2,
    )
    ax.plot([0, 1], ends, "o", color=INK, markersize=6, zorder=6, clip_on=False)


def _value_axis(ax: "Axes", reports: "Mapping[str, PathReport]", name: str) -> None:
    """Limits from the finite values; per cents stay in [0, 100].

    Values that are positive and span a large factor on some split are drawn on a logarithmic
    axis, on every split, so that the figures of a metric stay comparable.
    """
    from matplotlib.ticker import LogLocator

    names, splits = next((report.names, report.splits) for report in reports.values())
    shown = quantity(name, splits)
    spans = {
        other: _finite_range(reports, other)
        for other in names
        if quantity(other, splits).metric == shown.metric
    }
    low, high = (limit * shown.factor for limit in spans[name])
    positive = not shown.percent and all(least > 0 for least, _ in spans.values())
    if positive and any(most > _LOG_RANGE * least for least, most in spans.values()):
        # Powers of ten alone would label a short axis once.
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(
            LogLocator(subs=(1.0,) if high > 300 * low else (1.0, 2.0, 5.0), numticks=8)
        )
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_ylim(low / 1.3, high * 1.3)
    else:
        margin = 0.06 * ((high - low) or abs(high) or 1.0)
        limits = np.array([low - margin, high + margin])
        ax.set_ylim(*(limits.clip(0, 100.5) if shown.percent else limits))
        ax.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    ax.grid(axis="y", color=GRID, linewidth=0.8)


def _finite_range(reports: "Mapping[str, PathReport]", name: str) -> tuple[float, float]:
    values = np.concatenate([np.asarray(report[name], dtype=float) for report in reports.values()])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _position_axis(ax: "Axes") -> None:
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0\nA", "0.25", "0.5", "0.75", "1\nB"])
    ax.set_xlabel("position t on the path", color=INK, fontsize=10)


def _draw_legend(ax: "Axes", shown: Quantity) -> None:
    legend = ax.legend(
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=2.6,
        title=f"worst {shown.metric}",
        alignment="left",
    )
    legend.get_title().set(fontsize=9, color=FAINT)
