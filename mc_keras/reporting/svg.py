"""A matplotlib figure as a piece of an HTML page."""

import html
import io
import re
from typing import TYPE_CHECKING

from mc_keras.plotting.style import FAINT, GRID, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that the style sheet of the page chooses, so that the figure follows light and dark.
_PAGE_COLORS = {INK: "currentColor", FAINT: "var(--faint)", GRID: "var(--grid)"}


def inline_svg(figure: "Figure", alternative: str, prefix: str) -> str:
    """SVG element of a figure, to be put into a page as it is.

    Text stays text, in the font of the page. The neutral colours of `mc_keras.plotting` become
    those of the page's style sheet, every other colour `#rrggbb` becomes `var(--crrggbb, #rrggbb)`.
    An artist with the gid `method:<name>` becomes a group with `data-method="<name>"`.

    Args:
        figure: The figure.
        alternative: What it shows, for readers who cannot see it.
        prefix: Of the identifiers in it; different for each figure of a page.

    Returns:
        The element, without an XML header, scaling to the width it is given.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, count=1, flags=re.DOTALL)
    view = re.search(r'viewBox="[^"]+"', text)
    label = html.escape(alternative, quote=True)
    head = f'<svg role="img" aria-label="{label}" {view.group() if view else ""}'
    text = re.sub(r"<svg[^>]*", head, text, count=1)
    text = re.sub(r'<g id="method:([^"]*)"', r'<g data-method="\1"', text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font-family: [^;\"]*;?|font: ([\d.]+px) [^;\"]*", _font, text)
    return re.sub(r"#[0-9a-f]{6}\b", _color, text)


def _font(match: re.Match[str]) -> str:
    return f"font-size: {match.group(1)}" if match.group(1) else ""


def _color(match: re.Match[str]) -> str:
    color = match.group()
    return _PAGE_COLORS.get(color, f"var(--c{color[1:]}, {color})")
