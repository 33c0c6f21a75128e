"""How a method looks: the same colour and dash in every figure.

The colour tells the family of a method (the part of its name before `+`), the dash tells what was
added to it (`+wa`, `+bfly`). The hues are those of Okabe and Ito, 2008, "Color Universal Design",
which stay apart for colour-blind readers; unknown families take hues of Paul Tol's "muted". The
three methods with a flow share a hue, as do those that line units up; `best` has a violet of its
own.
"""

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2128"  # text, end points
FAINT = "#8b949e"  # reference lines, axes
GRID = "#e3e7ec"


class MethodStyle(NamedTuple):
    """Colour (hexadecimal) and dash (in line widths; empty: solid) of a method's lines."""

    color: str
    dash: tuple[float, ...]

    @property
    def linestyle(self) -> str | tuple[float, tuple[float, ...]]:
        """The same for matplotlib."""
        return (0, self.dash) if self.dash else "-"


_FAMILY_COLORS = {
    "linear": "#4d545e",
    "arc": "#0072b2",
    "slerp": "#56b4e9",
    "bezier": "#d55e00",
    "polychain": "#e69f00",
    "ot": "#009e73",
    "alignment": "#009e73",
    "activation_alignment": "#009e73",
    "best": "#3f1fd0",
    "rnvp_flow": "#cc79a7",
    "iaf_flow": "#cc79a7",
    "rnvp_bijection": "#cc79a7",
}
_SPARE_COLORS = ("#999933", "#aa4499", "#44aa99", "#882255", "#117733", "#332288")
_SOLID, _LONG, _DOTTED, _MIXED = (), (5.0, 1.6), (1.2, 1.2), (5.0, 1.4, 1.2, 1.4)
_DASHES = {
    "wa": _LONG,
    "bfly": _DOTTED,
    "alignment": (2.5, 1.0),
    "activation_alignment": (2.5, 1.0, 1.2, 1.0),
    "iaf_flow": (2.5, 1.0),
    "rnvp_bijection": _DOTTED,
}


def method_styles(methods: Iterable[str]) -> dict[str, MethodStyle]:
    """Style of each method, by its name.

    Args:
        methods: Names such as `"arc"` or `"ot+wa"`. Those that are not known take spare colours,
            in alphabetical order.

    Returns:
        Name to style, in the given order.

    Example:
    >>> method_styles(["arc", "arc+wa"])["arc+wa"]
    MethodStyle(color='#0072b2', dash=(5.0, 1.6))
    """
    methods = list(methods)
    families = {method: method.partition("+")[0] for method in methods}
    unknown = sorted(set(families.values()) - set(_FAMILY_COLORS))
    colors = _FAMILY_COLORS | dict(zip(unknown, itertools.cycle(_SPARE_COLORS), strict=False))
    styles = {}
    for method, family in families.items():
        addition = method.removeprefix(family).removeprefix("+")
        dash = _DASHES.get(addition or family, _MIXED if addition else _SOLID)
        styles[method] = MethodStyle(colors[family], dash)
    return styles


def new_figure(width: float, height: float, columns: int = 1) -> "tuple[Figure, list[Axes]]":
    """An empty figure outside pyplot's global state, with quiet axes side by side.

    Args:
        width: In inches.
        height: In inches.
        columns: Number of axes.

    Returns:
        The figure and its axes, from left to right.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(FAINT)
        ax.tick_params(colors=FAINT, labelcolor=INK, labelsize=9, length=3)
        ax.set_axisbelow(True)
    return figure, axes
