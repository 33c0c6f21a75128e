"""The comparison as one self-contained HTML page."""

from typing import TYPE_CHECKING

from mc_keras.plotting.style import method_styles
from mc_keras.reporting import sections
from mc_keras.reporting.markup import escape
from mc_keras.reporting.stylesheet import stylesheet
from mc_keras.storage import PathLike, atomic_write

if TYPE_CHECKING:
    from mc_keras.reporting.comparison import Comparison


def write_html_report(file: PathLike, comparison: "Comparison") -> None:
    """Write a comparison as one page with its figures in it; nothing is loaded from elsewhere.

    Args:
        file: Where to write; replaced as a whole.
        comparison: What to show. Its files are linked relative to the page.

    Raises:
        OSError: If the file cannot be written.
    """
    body = "".join(
        section(comparison)
        for section in (
            sections.header,
            sections.table,
            sections.curves,
            sections.barriers,
            sections.planes,
            sections.methods,
            sections.provenance,
        )
    )
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(comparison.title)}: paths between two networks</title>
<style>{stylesheet(method_styles(comparison.reports))}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""
    with atomic_write(file) as temporary:
        temporary.write_text(page, encoding="utf-8")
