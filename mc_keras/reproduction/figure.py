"""A reproduced table as bars: ours beside the paper's."""

from typing import TYPE_CHECKING

from mc_keras.plotting.style import FAINT, GRID, INK, method_styles, new_figure
from mc_keras.reproduction.published import ENDS, Figure
from mc_keras.reproduction.result import SPLITS, Reproduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_PAPER = "#c9ced6"
_HEIGHT = 0.36


def plot_table(result: Reproduction) -> "Drawing":
    """Draw the worst accuracies of all rows, one pair of axes per split.

    The coloured bar is ours, the grey one below it the paper's; whiskers are standard deviations,
    the dashed lines the two end points.

    Args:
        result: What was measured.

    Returns:
        A matplotlib figure.
    """
    rows = result.rows
    drawing, axes = new_figure(8.6, 1.0 + 0.42 * len(rows), columns=len(SPLITS))
    for ax, split in zip(axes, SPLITS, strict=True):
        _draw(ax, result, split)
        ax.tick_params(axis="y", length=0, labelleft=ax is axes[0])
    axes[0].set_yticks(range(len(rows)), [result.table.row(row).label for row in rows])
    return drawing


def _draw(ax: "Axes", result: Reproduction, split: str) -> None:
    styles = method_styles(row for row in result.rows if row != ENDS)
    here = {row: result.figure(row, split) for row in result.rows}
    paper = {row: result.published(row, split) for row in result.rows}
    shown = [figure.mean for figure in (*here.values(), *paper.values()) if figure is not None]
    # Bars of 97 and 98 per cent would look the same from zero.
    least = min(shown) - 0.12 * ((max(shown) - min(shown)) or 1.0)
    left = least if min(shown) > 50 else 0.0
    for place, row in enumerate(result.rows):
        color = styles[row].color if row in styles else INK
        _bar(ax, place - _HEIGHT / 2, here[row], left, color, INK)
        _bar(ax, place + _HEIGHT / 2, paper[row], left, _PAPER, FAINT)
    for figure, color in ((here[ENDS], INK), (paper[ENDS], FAINT)):
        if figure is not None:
            ax.axvline(figure.mean, color=color, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.set_yticks(range(len(result.rows)))
    ax.invert_yaxis()
    ax.set_xlim(left, max(shown) + 0.16 * ((max(shown) - left) or 1.0))
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.set_title(f"worst {split} accuracy (%)", loc="left", fontsize=10, color=INK)


def _bar(
    ax: "Axes", place: float, figure: Figure | None, left: float, color: str, ink: str
) -> None:
    if figure is None:
        return
    ax.barh(
        place,
        figure.mean - left,
        left=left,
        height=_HEIGHT,
        color=color,
        xerr=figure.sd,
        error_kw={"ecolor": ink, "elinewidth": 1.0, "capsize": 2},
        zorder=2,
    )
    ax.annotate(
        f"{figure.mean:.1f}" if left < 50 else f"{figure.mean:.2f}",
        (figure.mean + (figure.sd or 0.0), place),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=ink,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        zorder=3,
    )
