"""The comparison as a file for programs."""

import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mc_keras._version import __version__
from mc_keras.evaluation.report import numbers_to_json
from mc_keras.storage import PathLike, write_json

if TYPE_CHECKING:
    from mc_keras.evaluation import PathReport
    from mc_keras.reporting.comparison import Comparison

FORMAT = "mc_keras.comparison"
FORMAT_VERSION = 1


def write_results(file: PathLike, comparison: "Comparison", files: Sequence[str] = ()) -> None:
    """Write a comparison as JSON.

    Accuracies are fractions, losses means over the examples. Numbers that are not finite are the
    strings `"NaN"`, `"Infinity"` and `"-Infinity"`, which `float` reads.

    Args:
        file: Where to write; replaced as a whole.
        comparison: What to write.
        files: What else belongs to the report, relative to its folder.

    Raises:
        OSError: If the file cannot be written.
    """
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mc_keras": __version__,
        "title": comparison.title,
        "best": comparison.best,
        "provenance": dict(comparison.provenance),
        "files": list(files),
        "methods": {
            method: {
                "explanation": comparison.explanations.get(method, ""),
                "files": dict(comparison.files.get(method, {})),
                "seconds": comparison.seconds[method],
                **_measured(report),
            }
            for method, report in comparison.reports.items()
        },
    }
    write_json(file, record)


def files_of_report(file: PathLike) -> list[str]:
    """What else belongs to a report, by what `write_results` wrote of it; nothing if it is none."""
    try:
        record = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        files = record["files"] if record["format"] == FORMAT else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    inside = [pathlib.PurePosixPath(name) for name in files if isinstance(name, str)]
    return [
        str(name)
        for name in inside
        if name.parts and not name.is_absolute() and ".." not in name.parts
    ]


def _measured(report: "PathReport") -> dict[str, Any]:
    return {
        "length": _number(report.length),
        "chord": _number(report.chord),
        "t": report.t.tolist(),
        "quantities": {
            name: {
                "worst": _number(report.worst(name)),
                "worst_position": report.worst_position(name),
                "mean": _number(report.mean(name)),
                "mean_by_length": _number(report.mean(name, "arclength")),
                "barrier_over_chord": _number(report.barrier(name)),
                "barrier_over_ends": _number(report.barrier(name, "ends")),
                "lower_is_better": report.lower_is_better(name),
                "values": numbers_to_json(report[name]),
            }
            for name in report.names
        },
        "metadata": report.metadata,
    }


def _number(value: float) -> float | str:
    return numbers_to_json(np.array([value]))[0]
