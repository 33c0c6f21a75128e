"""The files of a reproduced table: Markdown, CSV, JSON and figures."""

import csv
import io
import pathlib
from typing import TYPE_CHECKING, Any

from mc_keras._version import __version__
from mc_keras.plotting import plot_paths
from mc_keras.reproduction.figure import plot_table
from mc_keras.reproduction.markdown import markdown_table
from mc_keras.reproduction.published import Figure
from mc_keras.reproduction.result import SPLITS, Reproduction
from mc_keras.storage import PathLike, atomic_write, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FORMAT = "mc_keras.reproduction"
FORMAT_VERSION = 1
TABLE = "table.json"
_DOTS_PER_INCH = 130
_COLUMNS = ("mean", "sd", "gap", "paper_mean", "paper_sd", "paper_gap")


def write(folder: PathLike, result: Reproduction) -> None:
    """Write `table.md`, `table.csv`, `table.json`, `table.png` and `curves_<pair>_<split>.png`.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    with atomic_write(folder / "table.md") as file:
        file.write_text(markdown_table(result), encoding="utf-8")
    with atomic_write(folder / "table.csv") as file:
        file.write_text(_csv(result), encoding="utf-8")
    write_json(folder / TABLE, _record(result))
    save_drawing(folder / "table.png", plot_table(result))
    for pair in result.pairs:
        reports = {row: result.reports[row][pair] for row in result.rows[:-1]}
        for split in SPLITS if reports else ():
            save_drawing(
                folder / f"curves_{pair}_{split}.png", plot_paths(reports, f"{split}_accuracy")
            )


def save_drawing(file: pathlib.Path, drawing: "Drawing") -> None:
    """Write a figure as PNG."""
    with atomic_write(file) as temporary:
        drawing.savefig(temporary, dpi=_DOTS_PER_INCH, facecolor="white")


def _csv(result: Reproduction) -> str:
    """One line for each row and split; accuracies in per cent, gaps in percentage points."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "label", "split", "pairs", *_COLUMNS])
    for row in result.rows:
        for split in SPLITS:
            here, paper = result.figure(row, split), result.published(row, split)
            numbers = [
                here.mean,
                here.sd,
                result.gap(row, split),
                paper.mean if paper else None,
                paper.sd if paper else None,
                result.published_gap(row, split),
            ]
            label = result.table.row(row).label
            texts = ["" if number is None else f"{number:.3f}" for number in numbers]
            lines.writerow([row, label, split, len(result.pairs), *texts])
    return text.getvalue()


def _record(result: Reproduction) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mc_keras": __version__,
        "table": result.table.name,
        "title": result.table.title,
        "unit": "per cent",
        "provenance": {**result.provenance, "commands": result.commands},
        "rows": {row: _row(result, row) for row in result.rows},
    }


def _row(result: Reproduction, row: str) -> dict[str, Any]:
    return {
        "label": result.table.row(row).label,
        "connector": result.connector(row),
        "seconds": round(result.seconds(row), 1),
        **{
            split: {
                "here": _numbers(result.figure(row, split)),
                "paper": _numbers(result.published(row, split)),
                "gap": result.gap(row, split),
                "paper_gap": result.published_gap(row, split),
            }
            for split in SPLITS
        },
        "pairs": {
            pair: {
                "t": report.t.tolist(),
                **{f"{s}_accuracy": (100 * report[f"{s}_accuracy"]).tolist() for s in SPLITS},
                **{f"worst_{s}_loss": _finite(report.worst(f"{s}_loss")) for s in SPLITS},
                "length_over_chord": _finite(report.relative_length),
            }
            for pair, report in result.reports[row].items()
        },
    }


def _numbers(figure: Figure | None) -> dict[str, Any] | None:
    return None if figure is None else figure._asdict()


def _finite(value: float) -> float | str:
    return value if abs(value) < float("inf") else str(value)
