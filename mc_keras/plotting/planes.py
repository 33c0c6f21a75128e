"""Maps of a measured quantity on planes of weight space, with the paths in them."""

from typing import TYPE_CHECKING

import numpy as np

from mc_keras.evaluation.quantities import Quantity, quantity
from mc_keras.plotting.style import INK, method_styles, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mc_keras.evaluation import PlaneReport

_NUM_BANDS = 7
_FLAT = 0.1  # height by width of a map; of flatter planes little would be seen
# A map has the same colours on a dark page: these are not the ink and white that change there.
_BLACK, _WHITE = "#1c2129", "#fffffe"

# Name to the text beside a point, where it goes (in points) and how it is aligned.
_LABELS = {"start": ("A", (-8, 0), "right"), "end": ("B", (8, 0), "left")}


def plot_plane(plane: "PlaneReport", name: str = "train_loss") -> "Figure":
    """Draw one quantity on a plane as a map, low values dark, with paths and points in it.

    A distance is as long in all directions, unless the label of the second axis says how much
    larger it is drawn there. The levels are closer at the bottom of the valley: their heights above
    it grow exponentially.
    An accuracy is drawn as an error in per cent. Cross-entropies above 5, errors above 40 % and
    values that are not finite are all in the last band; of other losses, which may be of any size,
    those more than five times as high above the lowest value as the median is.

    Args:
        plane: The report.
        name: Which quantity, as `"<split>_<metric>"`.

    Returns:
        A matplotlib figure; `figure.savefig(file)` writes it.

    Raises:
        ValueError: If the report lacks the quantity.

    Reference:
        Garipov et al., 2018, figure 1, https://arxiv.org/abs/1802.10026
    """
    from matplotlib.ticker import MaxNLocator

    if name not in plane.names:
        raise ValueError(f"The plane has no {name!r}; it has {', '.join(plane.names)}.")
    flatness = np.ptp(plane.y) / np.ptp(plane.x)
    stretch = 2 * _FLAT / flatness if flatness < _FLAT else 1.0
    drawn = flatness * stretch
    figure, (ax,) = new_figure(6.4, float(np.clip(1.1 + 5.0 * drawn, 2.6, 6.0)))
    _draw_map(figure, ax, plane, name)
    _draw_paths(ax, plane)
    _draw_points(ax, plane)
    ax.set_aspect(stretch)
    ax.yaxis.set_major_locator(MaxNLocator(max(2, min(8, int(14 * drawn)))))
    if stretch > 1:
        ax.set_ylabel(f"drawn {stretch:.3g} times\nas large", color=INK, fontsize=10)
    ax.set_xlabel("distance in weight space", color=INK, fontsize=10)
    return figure


def log_levels(values: np.ndarray, limit: float, log_step: float) -> np.ndarray:
    """Heights of contours, whose distances from the lowest value grow exponentially.

    `level[k] = low + exp(log_step + k * (log(high - low) - log_step) / 7)` with `low` the lowest
    value and `high` the highest one, or `limit`; `level[0] = low`.

    Args:
        values: Array; values that are not finite are left out.
        limit: Values above this are not told apart.
        log_step: Logarithm of the first step.

    Returns:
        Rising levels, shape `(8,)`.
    """
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low < limit < high:
        high = limit
    # Levels that differ by less than the last digits of the values would be equal.
    log_range = np.log(max(high - low, 1e-9 * abs(high)) or 1e-6)
    first = np.clip(log_step, log_range - 12.0, log_range - 1.0)
    steps = np.linspace(first, log_range, _NUM_BANDS + 1)
    levels = low + np.exp(steps)
    levels[0] = low
    return levels


def _scale(values: np.ndarray, shown: Quantity, loss: str) -> tuple[float, float]:
    """`limit` and `log_step` of `log_levels`: for errors, for cross-entropies, for the rest."""
    if shown.percent:
        return 40.0, -1.0
    finite = values[np.isfinite(values)]
    entropy = shown.metric == "loss" and (not loss or "entropy" in loss.lower())
    if entropy or not finite.size:
        return 5.0, -5.0
    low = finite.min()
    unit = max(np.median(finite) - low, np.finfo(float).tiny)
    return low + 5.0 * unit, np.log(unit) - 5.0


def _draw_map(figure: "Figure", ax: "Axes", plane: "PlaneReport", name: str) -> None:
    import matplotlib

    shown = quantity(name, plane.splits)
    values, label = plane[name] * shown.factor, shown.label
    if not plane.lower_is_better(name):
        values, label = _upside_down(values, shown)
    levels = log_levels(values, *_scale(values, shown, plane.loss_name))
    beyond = levels[-1] + np.ptp(levels)
    values = np.where(np.isfinite(values), np.minimum(values, beyond), beyond)
    colors = matplotlib.colormaps["YlGnBu_r"](np.linspace(0.05, 0.97, len(levels)))
    bands = ax.contourf(plane.x, plane.y, values, levels, colors=colors, extend="max")
    ax.contour(plane.x, plane.y, values, levels[1:], colors=_WHITE, linewidths=0.5, alpha=0.7)
    bar = figure.colorbar(bands, ax=ax, spacing="uniform", shrink=0.95, pad=0.03)
    labels = _different(levels)
    bar.set_ticks(levels, labels=[*labels[:-1], f"> {labels[-1]}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=INK, labelsize=9)
    bar.set_label(label, fontsize=10, color=INK)


def _upside_down(values: np.ndarray, shown: "Quantity") -> tuple[np.ndarray, str]:
    """A quantity whose large values are the good ones, so that the small ones are, and its name."""
    if "accuracy" in shown.label:
        return shown.factor - values, shown.label.replace("accuracy", "error")
    if shown.percent:
        return shown.factor - values, f"100 - {shown.label}"
    return -values, f"minus {shown.label}"


def _different(levels: np.ndarray) -> list[str]:
    """As few digits as tell the levels apart."""
    for digits in range(2, 8):
        labels = [f"{level:.{digits}g}" for level in levels]
        if len(set(labels)) == len(labels):
            break
    return labels


def _draw_paths(ax: "Axes", plane: "PlaneReport") -> None:
    from matplotlib.patheffects import Normal, Stroke

    styles = method_styles(plane.projections)
    extent = max(np.ptp(plane.x), np.ptp(plane.y))
    for method, path in plane.projections.items():
        away = path.residual.max()
        ax.plot(
            path.x,
            path.y,
            color=styles[method].color,
            linestyle=styles[method].linestyle,
            linewidth=2.2,
            solid_capstyle="round",
            path_effects=[Stroke(linewidth=4.0, foreground=_WHITE), Normal()],
            label=method if away < 1e-3 * extent else f"{method}, up to {away:.2g} off the plane",
            gid=f"method:{method}",
            zorder=3,
        )
    if plane.projections:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=3,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            handlelength=2.2,
        )


def _draw_points(ax: "Axes", plane: "PlaneReport") -> None:
    from matplotlib.patheffects import Normal, Stroke

    for name, (x, y) in plane.points.items():
        ax.plot(x, y, "o", color=_BLACK, markersize=7, markeredgecolor=_WHITE, zorder=4)
        text, offset, side = _LABELS.get(name, (name, (9, 1), "left"))
        ax.annotate(
            text,
            (x, y),
            xytext=offset,
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=10,
            fontweight="bold",
            color=_BLACK,
            path_effects=[Stroke(linewidth=2.5, foreground=_WHITE), Normal()],
            zorder=5,
        )
