"""The files of a study: Markdown, CSV, JSON and a figure."""

import csv
import io
import pathlib
from typing import Any

from mc_keras._version import __version__
from mc_keras.reproduction.markdown import figure_text, made_by
from mc_keras.reproduction.published import ENDS
from mc_keras.reproduction.result import SPLITS
from mc_keras.reproduction.study import StudyResult
from mc_keras.reproduction.study_figure import plot_study
from mc_keras.reproduction.writing import save_drawing
from mc_keras.storage import PathLike, atomic_write, write_json


def write_study(folder: PathLike, result: StudyResult) -> None:
    """Write `study.md`, `study.csv`, `study.json` and `study.png`.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    with atomic_write(folder / "study.md") as file:
        file.write_text(study_markdown(result), encoding="utf-8")
    with atomic_write(folder / "study.csv") as file:
        file.write_text(_csv(result), encoding="utf-8")
    write_json(folder / "study.json", _record(result))
    save_drawing(folder / "study.png", plot_study(result))


def study_markdown(result: StudyResult) -> str:
    """Tables of methods by sizes: worst accuracies and how far they are below the ends.

    Args:
        result: What was measured.

    Returns:
        Text that ends with a line break.
    """
    study, last = result.study, list(result.results.values())[-1]
    lines = [f"# {study.title}, {study.dataset}", ""]
    for split in reversed(SPLITS):
        lines += _table(
            f"Worst {split} accuracy, per cent",
            result,
            {
                row: [figure_text(result.figure(row, size, split)) for size in result.results]
                for row in result.rows
            },
        )
        gaps = {
            row: [result.gap(row, size, split) for size in result.results]
            for row in result.rows
            if row != ENDS
        }
        lines += _table(
            f"Below the ends, {split}, percentage points",
            result,
            {row: ["" if gap is None else f"{gap:.2f}" for gap in gaps[row]] for row in gaps},
        )
    train, test = (last.provenance["measured_on"][split] for split in SPLITS)
    pairs = "pairs (mean ± standard deviation)" if len(last.pairs) > 1 else "pair"
    lines += [
        f"Worst along the path, on {len(last.pairs)} {pairs} of networks for each number of "
        f"{study.unit}: {', '.join(last.pairs)}; {train:,} training and {test:,} test examples, "
        f"{last.provenance['num_points']} positions and the knots of the path. `{ENDS}`: the mean "
        "accuracy of the end points."
    ]
    return "\n".join([*lines, *made_by(result.commands)]) + "\n"


def _table(title: str, result: StudyResult, cells: dict[str, list[str]]) -> list[str]:
    sizes = [str(size) for size in result.results]
    lines = [[result.study.unit, *sizes], ["---", *["--:"] * len(sizes)]]
    lines += [[row, *texts] for row, texts in cells.items()]
    return [f"## {title}", "", *("| " + " | ".join(line) + " |" for line in lines), ""]


def _csv(result: StudyResult) -> str:
    """One line for each size, row and split; per cent and percentage points."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["size", "row", "split", "pairs", "mean", "sd", "gap"])
    for size, here in result.results.items():
        for row in here.rows:
            for split in SPLITS:
                figure = here.figure(row, split)
                numbers = (figure.mean, figure.sd, here.gap(row, split))
                texts = ["" if number is None else f"{number:.3f}" for number in numbers]
                lines.writerow([size, row, split, len(here.pairs), *texts])
    return text.getvalue()


def _record(result: StudyResult) -> dict[str, Any]:
    study, last = result.study, list(result.results.values())[-1]
    shared = {key: value for key, value in last.provenance.items() if key != "pairs"}
    return {
        "format": "mc_keras.study",
        "format_version": 1,
        "mc_keras": __version__,
        "study": study.name,
        "title": study.title,
        "dataset": study.dataset,
        "unit": "per cent",
        "provenance": {**shared, "commands": result.commands},
        "sizes": {
            str(size): {
                "hidden": study.hidden(size),
                "pairs": here.provenance["pairs"],
                "rows": {
                    row: {
                        "seconds": round(here.seconds(row), 1),
                        **{
                            split: {
                                "mean": here.figure(row, split).mean,
                                "sd": here.figure(row, split).sd,
                                "gap": here.gap(row, split),
                                "worst": here.worst(row, split).tolist(),
                            }
                            for split in SPLITS
                        },
                    }
                    for row in here.rows
                },
            }
            for size, here in result.results.items()
        },
    }
