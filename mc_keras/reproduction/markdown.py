"""A reproduced table as Markdown."""

from mc_keras.reproduction.differences import DIFFERENCES
from mc_keras.reproduction.published import ENDS, Figure
from mc_keras.reproduction.result import SPLITS, Reproduction

_HEADER = (
    "method",
    *("train: here", "paper", "test: here", "paper"),
    *("below the ends, test: here", "paper", "seconds"),
)


def markdown_table(result: Reproduction) -> str:
    """The table, what its numbers are, and the order of the methods here and in the paper.

    Args:
        result: What was measured.

    Returns:
        Text that ends with a line break.
    """
    lines = [
        _HEADER,
        ["---", *["--:"] * (len(_HEADER) - 1)],
        *(_cells(result, r) for r in result.rows),
    ]
    text = [f"# {result.table.title}", ""]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*text, "", *_notes(result)]) + "\n"


def _cells(result: Reproduction, row: str) -> list[str]:
    cells = [result.table.row(row).label]
    for split in SPLITS:
        cells += [figure_text(result.figure(row, split)), figure_text(result.published(row, split))]
    gaps = ["", ""]
    if row != ENDS:
        gap = result.published_gap(row, "test")
        gaps = [f"{result.gap(row, 'test'):.2f}", "" if gap is None else f"{gap:.2f}"]
    return [*cells, *gaps, f"{result.seconds(row):.0f}"]


def figure_text(figure: Figure | None) -> str:
    """A number with its standard deviation, if it has one; empty if there is none."""
    if figure is None:
        return ""
    text = f"{figure.mean:.2f}" + ("" if figure.sd is None else f" ± {figure.sd:.2f}")
    return text + ("\\*" if figure.doubtful else "")


def _notes(result: Reproduction) -> list[str]:
    num_pairs, num_points = len(result.pairs), result.provenance["num_points"]
    train, test = (result.provenance["measured_on"][split] for split in SPLITS)
    pairs = "pairs (mean ± standard deviation)" if num_pairs > 1 else "pair"
    fit_examples = result.provenance["fit_examples"]
    solved = ""
    if fit_examples is not None and fit_examples < result.provenance["data"]["train"]["examples"]:
        solved = f", layers solved for on {fit_examples:,} training examples drawn at random"
    notes = [
        f"Worst accuracy along the path, per cent, on {num_pairs} {pairs} of networks: "
        f"{', '.join(result.pairs)}; {train:,} training and {test:,} test examples, {num_points} "
        "positions and the knots of the path"
        f'{solved}. "Below the ends": percentage points from the mean '
        "accuracy of the end points. Seconds: to find and to measure a path.",
    ]
    if any(f and f.doubtful for row in result.rows for f in result.table.row(row)[2:]):
        notes += ["", "\\* Contradicts its neighbours, likely a misprint."]
    for split in SPLITS:
        here, paper = result.orders(split)
        if len(here) > 1:
            same = "as in the paper" if here == paper else f"the paper's: {' > '.join(paper)}"
            notes += ["", f"Order by {split} accuracy: {' > '.join(here)}; {same}."]
    differences = [
        f"- {result.table.row(row).label}: {DIFFERENCES[row].format(**result.connector(row))}."
        for row in result.rows
        if row in DIFFERENCES
    ]
    if differences:
        notes += ["", "What differs from the paper:", "", *differences]
    return notes + made_by(result.commands)


def made_by(commands: list[str]) -> list[str]:
    """Lines that name the commands a table was made by; none if there are none."""
    if len(commands) == 1:
        return ["", f"Made by `{commands[0]}`."]
    return ["", "Made by:", "", *(f"- `{command}`" for command in commands)] if commands else []
