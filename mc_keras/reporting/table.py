"""The comparison as a table for a terminal."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mc_keras.reporting.comparison import Comparison


def comparison_table(comparison: "Comparison") -> str:
    """Plain text of a comparison, one line per method, and the loss; a `*` marks the best path.

    Args:
        comparison: What to show.

    Returns:
        Lines without a trailing line break.
    """
    names = [f"{m} *" if m == comparison.best else m for m in comparison.reports]
    blocks = [_left(["", "", "method", *names])]
    for group, columns in itertools.groupby(comparison.columns(), lambda c: c.headings[0]):
        parts = []
        for part, same in itertools.groupby(columns, lambda c: c.headings[1]):
            cells = [_right([c.headings[2], *c.texts.values()]) for c in same]
            parts.append(_under(part, cells, gap="  "))
        blocks.append(_under(group, parts, gap="   "))
    lines = ["   ".join(line).rstrip() for line in zip(*blocks, strict=True)]
    rule = "-" * max(map(len, lines))
    loss = next(iter(comparison.reports.values())).loss_name
    return "\n".join([*lines[:3], rule, *lines[3:], *([f"loss: {loss}"] if loss else [])])


def _left(lines: Sequence[str]) -> list[str]:
    width = max(map(len, lines))
    return [line.ljust(width) for line in lines]


def _right(lines: Sequence[str]) -> list[str]:
    width = max(map(len, lines))
    return [line.rjust(width) for line in lines]


def _under(heading: str, parts: Sequence[list[str]], gap: str) -> list[str]:
    """Blocks of lines side by side, with a heading above them."""
    lines = [gap.join(line) for line in zip(*parts, strict=True)]
    width = max(len(heading), *map(len, lines))
    return [heading.center(width), *(line.rjust(width) for line in lines)]
