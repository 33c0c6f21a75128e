"""Small pieces of HTML."""

import html
import urllib.parse
from collections.abc import Mapping
from typing import Any

from mc_keras.plotting.style import MethodStyle


def escape(value: Any) -> str:
    """A value as text of a page, also inside an attribute."""
    return html.escape(str(value), quote=True)


def link(target: str, text: str) -> str:
    """A link to a file beside the page."""
    return f'<a href="{urllib.parse.quote(target)}">{escape(text)}</a>'


def key(style: MethodStyle) -> str:
    """A short line in the colour and dash of a method, as in the figures."""
    dash = " ".join(f"{2 * length:g}" for length in style.dash)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    color = f"var(--c{style.color[1:]})"
    return (
        '<svg class="key" viewBox="0 0 38 14" aria-hidden="true">'
        f'<line x1="1" y1="8" x2="37" y2="8" stroke="{color}" stroke-width="4"{dashed}/></svg>'
    )


def plain_table(values: Mapping[str, Any]) -> str:
    """A nested mapping as a table of two columns, the keys of its levels joined by spaces."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n'
        for name, value in _flat(values)
    )
    return f'<table class="plain"><tbody>\n{rows}</tbody></table>\n'


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in values.items():
        label = f"{prefix} {name}".strip().replace("_", " ")
        found += _flat(value, label) if isinstance(value, Mapping) else [(label, value)]
    return found
