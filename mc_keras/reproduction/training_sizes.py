"""Figure 5 of Anokhin and Yarotsky, 2020: paths that were adjusted on few and on all examples.

Layers are refitted on the training examples. With fewer of them than a layer has inputs the outputs
on them stay exactly what they were; the error on them says little about the error on others.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.evaluation import PathReport
from mc_keras.evaluation.points import checked_splits
from mc_keras.plotting.style import GRID, INK, method_styles, new_figure
from mc_keras.progress import ProgressBar
from mc_keras.provenance import versions
from mc_keras.reproduction.kept_reports import KeptReports
from mc_keras.reproduction.result import SPLITS
from mc_keras.reproduction.rows import connector_of
from mc_keras.reproduction.writing import save_drawing
from mc_keras.storage import PathLike, write_json
from mc_keras.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

METHODS = ("linear+wa", "ot+wa")


def compare_training_sizes(
    start: keras.Model,
    end: keras.Model,
    data: Any,
    folder: PathLike,
    *,
    num_small: int = 500,
    methods: Sequence[str] = METHODS,
    num_points: int = 61,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
    verbose: int = 1,
) -> dict[str, dict[str, PathReport]]:
    """Draw the error along paths adjusted on the first training examples, and on all of them.

    The training error is that on the examples the path was adjusted on. Into the folder go
    `figure5.png`, `figure5.json` and the reports, which are kept as those of `reproduce`.

    Args:
        start: Network at `t = 0`.
        end: Network at `t = 1`.
        data: Splits `"train"` and `"test"`.
        folder: Where to write.
        num_small: How many examples are few.
        methods: Names of methods that take data.
        num_points: Positions at which a path is measured, besides its knots.
        seed: Seed of everything random.
        about: JSON-able mapping to be kept in the results, such as `{"command": ...}`.
        verbose: 0 silent, 1 a progress bar and a line for each path, 2 a bar for every training
            and evaluation.

    Returns:
        `"small"` and `"full"` to method to report.

    Raises:
        ValueError: If there are no more examples than the few, networks and data do not fit, or a
            method takes no data.
        OSError: If the folder cannot be written.
    """
    check_same_architecture(start, end)
    _check_methods(methods, start)
    splits = checked_splits(start, data)
    x, y = splits["train"]
    if not 0 < num_small < len(x):
        raise ValueError(
            f"The small training set must have between 1 and {len(x) - 1} examples, received "
            f"{num_small}."
        )
    sizes = {"small": (x[:num_small], y[:num_small]), "full": (x, y)}
    folder = pathlib.Path(folder)
    bar = ProgressBar("figure 5", len(sizes) * len(methods), verbose=int(verbose == 1))
    reports: dict[str, dict[str, PathReport]] = {}
    for size, train in sizes.items():
        workspace = Workspace(
            folder / size,
            start,
            end,
            {"train": train, "test": splits["test"]},
            seed=seed,
            verbose=int(verbose == 2),
        )
        command = (about or {}).get("command")
        kept = KeptReports(folder / size, workspace, connector_of, num_points, command)
        reports[size] = {method: kept.get(method, bar) for method in methods}
    write_json(folder / "figure5.json", _record(reports, {**(about or {}), "seed": seed}))
    save_drawing(folder / "figure5.png", plot_training_sizes(reports))
    return reports


def _check_methods(methods: Sequence[str], network: keras.Model) -> None:
    """Raise ValueError if one does not exist, takes no data or does not apply to the network."""
    for method in methods:
        connector = connector_of(method)
        if not (connector.needs_data or connector.uses_data) or not connector.applies_to(network):
            raise ValueError(
                f"Figure 5 is about methods that take data and apply to '{network.name}', such as "
                f"{' and '.join(METHODS)}. Received: '{method}'"
            )


def error(report: PathReport, split: str) -> np.ndarray:
    """Error along a path, in per cent."""
    return 100 * (1 - report[f"{split}_accuracy"])


def plot_training_sizes(reports: Mapping[str, Mapping[str, PathReport]]) -> "Drawing":
    """Draw the error along the paths, for each size one pair of axes; the test error is dotted.

    Args:
        reports: As `compare_training_sizes` returns them.

    Returns:
        A matplotlib figure.
    """
    drawing, axes = new_figure(9.0, 3.4, columns=len(reports))
    highest = 0.0
    for ax, by_method in zip(axes, reports.values(), strict=True):
        styles = method_styles(by_method)
        for method, report in by_method.items():
            for split, dash in zip(SPLITS, ("-", (0, (1.2, 1.2))), strict=True):
                values = error(report, split)
                highest = max(highest, values.max())
                ax.plot(
                    report.t,
                    values,
                    color=styles[method].color,
                    linestyle=dash,
                    linewidth=2.0,
                    label=f"{method}, {split}",
                )
        examples = next(iter(by_method.values())).metadata["examples"]["train"]
        ax.set_title(f"{examples:,} training examples", loc="left", fontsize=10, color=INK)
        ax.set_xlabel("position t on the path", color=INK, fontsize=10)
        ax.set_xlim(0, 1)
        ax.grid(axis="y", color=GRID, linewidth=0.8)
    for ax in axes:
        ax.set_ylim(0, 1.06 * highest or 1.0)
    axes[0].set_ylabel("error (%)", color=INK, fontsize=10)
    axes[-1].legend(
        loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9, labelcolor=INK
    )
    return drawing


def _record(
    reports: Mapping[str, Mapping[str, PathReport]], about: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format": "mc_keras.figure5",
        "format_version": 1,
        "unit": "per cent",
        "provenance": {**about, "versions": versions()},
        "sizes": {
            size: {
                method: {
                    "examples": report.metadata["examples"],
                    "made_of": {k: report.metadata["provenance"][k] for k in ("start", "end")},
                    "connector": report.metadata["provenance"]["connector"],
                    "t": report.t.tolist(),
                    **{f"{split}_error": error(report, split).tolist() for split in SPLITS},
                }
                for method, report in by_method.items()
            }
            for size, by_method in reports.items()
        },
    }
