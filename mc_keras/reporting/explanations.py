"""What a method does, in a few words, from the docstring of its connector."""

import inspect
from typing import Any


def explain(connector: Any) -> str:
    """A connector's summary, else the first paragraph of its docstring and the reference in it.

    The curve it trains, or the connector it wraps, is explained after it.

    Args:
        connector: A connector object such as `mc.connectors.Arc()`.

    Returns:
        Text on one line; empty where there is no docstring.
    """
    inner = [
        explain(value)
        for value in vars(connector).values()
        if type(value).__module__.startswith("mc_keras.")
    ]
    own = getattr(connector, "summary", None) or _summary(type(connector))
    return " ".join(text for text in (own, *inner) if text)


def _summary(kind: type) -> str:
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    reference = next((p for p in paragraphs if p.startswith("Reference:")), "")
    source = " ".join(reference.removeprefix("Reference:").split()).rstrip(".")
    summary = " ".join(paragraphs[0].split()).replace("`", "")
    return f"{summary} ({source}.)" if source else summary
