"""The sections of the HTML report, in the order of the page."""

import itertools
import math
from typing import TYPE_CHECKING

from mc_keras.evaluation.quantities import short_number
from mc_keras.plotting import plot_barriers, plot_paths, plot_plane
from mc_keras.plotting.style import method_styles
from mc_keras.reporting.markup import escape, key, link, plain_table
from mc_keras.reporting.svg import inline_svg

if TYPE_CHECKING:
    from mc_keras.reporting.comparison import Column, Comparison


def header(comparison: "Comparison") -> str:
    """Title, and the result in two sentences."""
    name = comparison.judged_by[-1]
    shown, best = comparison.quantity(name), comparison.best
    report = comparison.reports[best]
    low, at_least = (
        ("rises to", "at or below") if report.lower_is_better(name) else ("falls to", "at or above")
    )
    worst = {method: shown.text(r.worst(name)) for method, r in comparison.reports.items()}
    line = comparison.reports.get("linear", report)
    if not math.isfinite(line.worst(name)):
        low, worst["linear"] = "is", "not finite"
    sentences = []
    if "linear" in worst and best != "linear":
        sentences.append(
            f"On the straight line between the two networks the {shown.split} {shown.metric} "
            f"{low} {worst['linear']}."
        )
    sentences.append(
        f"The path by <strong>{escape(best)}</strong> stays {at_least} {worst[best]}; "
        f"its ends have {shown.text(report[name][0])} and {shown.text(report[name][-1])}."
    )
    return (
        '<header>\n<p class="kicker">mc_keras: paths of good weights between two networks</p>\n'
        f'<h1>{escape(comparison.title)}</h1>\n<p class="lead">{" ".join(sentences)}</p>\n'
        f'<p class="note">{escape(_extent(comparison))}</p>\n</header>\n'
    )


def _extent(comparison: "Comparison") -> str:
    """What was measured, and how much."""
    report = comparison.reports[comparison.best]
    examples = ", ".join(f"{n:,} {s}" for s, n in report.metadata.get("examples", {}).items())
    counts = [len(report.t) for report in comparison.reports.values()]
    few, many = min(counts), max(counts)
    positions = f"{few}" if few == many else f"{few} to {many}"
    parts = [f"{len(counts)} methods", f"{positions} positions on each path"]
    parts += [f"{examples} examples"] if examples else []
    parts += [f"loss: {report.loss_name}"] if report.loss_name else []
    return "; ".join(parts) + "."


def table(comparison: "Comparison") -> str:
    """The table of all methods."""
    styles, columns = method_styles(comparison.reports), comparison.columns()
    heads = []
    for depth in (1, 2):
        cells = "".join(
            f'<th class="group start" scope="colgroup" colspan="{len(list(same))}">'
            f"{escape(label[-1])}</th>"
            for label, same in itertools.groupby(c.headings[:depth] for c in columns)
        )
        heads.append(f"<tr><td></td>{cells}</tr>\n")
    starts = _block_starts(columns)
    titles = "".join(
        f'<th scope="col"{_classes(start=start)}>{escape(column.headings[2])}</th>'
        for column, start in zip(columns, starts, strict=True)
    )
    heads.append(f'<tr><th scope="col">method</th>{titles}</tr>\n')
    rows = []
    for method in comparison.reports:
        cells = "".join(
            f"<td{_classes(start=start, best=method in column.best)}>{column.texts[method]}</td>"
            for column, start in zip(columns, starts, strict=True)
        )
        rows.append(
            f'<tr data-key="{escape(method)}"{_classes(chosen=method == comparison.best)}>'
            f'<th scope="row">{key(styles[method])}{escape(method)}</th>{cells}</tr>\n'
        )
    return (
        f'<section>\n<h2>All methods</h2>\n<div class="scroll"><table class="wide">\n'
        f"<thead>\n{''.join(heads)}</thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
        '<p class="note">Worst and mean over the points of each path; the best value of a column '
        "is bold. The barrier is how far the loss rises above the straight line between its "
        "values at the two ends, along the length travelled. "
        '<span class="screen">Point at a row to see its path alone in the figures.</span></p>\n'
        "</section>\n"
    )


def curves(comparison: "Comparison") -> str:
    """One figure per quantity."""
    figures = []
    for name in comparison.names:
        shown = comparison.quantity(name)
        worst = "; ".join(
            f"{method} {shown.text(report.worst(name))}"
            for method, report in comparison.reports.items()
        )
        figures.append(
            _figure(
                inline_svg(
                    plot_paths(comparison.reports, name),
                    f"Curves of {shown.label} against the position on the path. Worst: {worst}.",
                    f"curve-{name}",
                )
            )
        )
    return (
        f'<section>\n<h2>Along the paths</h2>\n<div class="figures">\n{"".join(figures)}</div>\n'
        '<p class="note">A dot is the worst point of a path; the dashed line joins the values at '
        "the two networks A and B; a cross marks a value that is not finite.</p>\n</section>\n"
    )


def barriers(comparison: "Comparison") -> str:
    """Bars of the barriers on the last split."""
    names = comparison.judged_by
    listed = "; ".join(
        f"{method} {short_number(report.barrier(names[0]))}"
        for method, report in comparison.reports.items()
    )
    figure = inline_svg(
        plot_barriers(comparison.reports, names),
        f"Bars of the barriers. {comparison.quantity(names[0]).label}: {listed}.",
        "barriers",
    )
    return (
        "<section>\n<h2>Barriers</h2>\n"
        f'<div class="narrow">\n{_figure(figure)}</div>\n'
        '<p class="note">How much worse than the straight line between the values at the ends a '
        "path becomes: 0 means that the two networks are connected.</p>\n</section>\n"
    )


def planes(comparison: "Comparison") -> str:
    """Maps of the planes through the ends and the bend of a path."""
    if not comparison.planes:
        return ""
    figures = []
    for method, plane in comparison.planes.items():
        for name in comparison.mapped:
            what = comparison.quantity(name).split + (
                " loss" if plane.lower_is_better(name) else " error"
            )
            svg = inline_svg(
                plot_plane(plane, name),
                f"Map of the {what} on the plane through A, B and the bend of the path by "
                f"{method}, and the paths in it.",
                f"plane-{method}-{name}",
            )
            figures.append(_figure(svg, escape(f"Plane of {method}: {what}")))
    return (
        "<section>\n<h2>The landscape around them</h2>\n"
        '<p class="note">Each map is the plane of weight space through the networks A and B and '
        "the bend of a trained path; dark is good, and a distance is the same in all "
        "directions unless an axis says otherwise.</p>\n"
        f'<div class="figures">\n{"".join(figures)}</div>\n</section>\n'
    )


def methods(comparison: "Comparison") -> str:
    """How each method works, and its files."""
    styles = method_styles(comparison.reports)
    rows = []
    for method in comparison.reports:
        files = ", ".join(
            link(target, name) for name, target in comparison.files.get(method, {}).items()
        )
        rows.append(
            f'<dt data-key="{escape(method)}">{key(styles[method])}{escape(method)}</dt>\n'
            f"<dd>{escape(comparison.explanations.get(method, ''))}"
            + (f'<br><span class="note">Files: {files}</span>' if files else "")
            + "</dd>\n"
        )
    return (
        f'<section>\n<h2>The methods</h2>\n<dl class="methods">\n{"".join(rows)}</dl>\n</section>\n'
    )


def provenance(comparison: "Comparison") -> str:
    """What was connected, with what, and how to do it again."""
    values = dict(comparison.provenance)
    command = values.pop("command", None)
    again = f"<pre>{escape(command)}</pre>\n" if command else ""
    return f"<section>\n<h2>What was connected</h2>\n{again}{plain_table(values)}</section>\n"


def _figure(svg: str, caption: str = "") -> str:
    below = f"<figcaption>{caption}</figcaption>\n" if caption else ""
    return f"<figure>\n{svg}{below}</figure>\n"


def _block_starts(columns: "list[Column]") -> list[bool]:
    """Whether a column is the first below its heading."""
    blocks = [column.headings[:2] for column in columns]
    return [i == 0 or blocks[i] != blocks[i - 1] for i in range(len(blocks))]


def _classes(**present: bool) -> str:
    names = " ".join(name for name, is_present in present.items() if is_present)
    return f' class="{names}"' if names else ""
