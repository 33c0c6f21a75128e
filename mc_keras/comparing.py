"""`compare_methods`: connect two networks by several methods, measure and write everything down."""

import contextlib
import datetime
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.connectors import Connector, CurveFitting, connect
from mc_keras.evaluation import PlaneReport, evaluate_plane
from mc_keras.evaluation.points import checked_splits
from mc_keras.export import export_points
from mc_keras.locks import LOCK, locked
from mc_keras.paths import Path
from mc_keras.progress import ProgressBar
from mc_keras.reporting import (
    Comparison,
    explain,
    write_figures,
    write_html_report,
    write_results,
)
from mc_keras.reporting.results import files_of_report
from mc_keras.storage import PathLike
from mc_keras.workspace import Workspace

_NO_PLANE = " Its bend lies on the straight line: there is no plane through it to draw."


def compare_methods(
    start: keras.Model,
    end: keras.Model,
    data: Any,
    connectors: Mapping[str, Connector],
    folder: PathLike,
    *,
    title: str = "Two networks",
    num_points: int = 61,
    num_exports: int = 5,
    plane_resolution: int = 21,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
    verbose: int = 1,
) -> Comparison:
    """Connect two networks by several methods and write a report on the paths.

    Into the folder go `report.html` (one page with everything), `results.json` (the same for
    programs), `figures/*.png`, `paths/<method>.path`, `planes/<method>.json` and
    `savedmodels/<best method>/t_*`. A run that was killed goes on where it was when it is called
    again with the same arguments: paths that are there, made in the same way from the same networks
    and data, are not made again. One process at a time writes to the folder; others wait.

    Args:
        start: Trained Keras model at `t = 0`.
        end: Trained model of the same architecture, at `t = 1`.
        data: Splits by name, such as `{"train": (x, y), "test": (x, y)}`. Methods that need data
            take the split named `"train"`.
        connectors: Name to connector of each method.
        folder: Where to write.
        title: Name of the pair of networks.
        num_points: Number of positions at which each path is measured.
        num_exports: Number of SavedModels of the best path, evenly spaced; 0 for none.
        plane_resolution: Nodes along each side of the plane through the ends and the bend of
            each trained curve; 0 for no planes.
        seed: Seed of everything random.
        about: JSON-able mapping to be kept in the results, such as `{"command": ...}`.
        verbose: 0 silent, 1 a progress bar, 2 one for every training and evaluation.

    Returns:
        The comparison, as it was written.

    Raises:
        TypeError: If something is of the wrong kind.
        ValueError: If the networks differ in architecture, or the data do not fit them.
        OSError: If the folder cannot be written. Files are whole or absent.
    """
    check_same_architecture(start, end)
    for connector in connectors.values():  # before the first one takes its time
        connector.check_units(start)
    splits = checked_splits(start, data)
    for connector in connectors.values():
        if not connector.applies_to(start):
            connect(start, end, connector, splits)  # says why, before there is a folder
    folder = pathlib.Path(folder)
    with locked(folder / LOCK, f"writes the report in {folder}"):
        workspace = Workspace(folder, start, end, splits, seed=seed, verbose=int(verbose == 2))
        bar = ProgressBar("connecting", 3 * len(connectors) + 2, verbose=int(verbose == 1))
        paths, reports = {}, {}
        for method, connector in connectors.items():
            bar.doing(method)
            paths[method] = workspace.path(method, connector)
            bar.add(2)
            reports[method] = workspace.measure(method, paths[method], num_points)
            bar.add(1)
        bar.doing("pictures")
        spanned = _planes(workspace, folder, paths, connectors, splits, plane_resolution)
        planes = {method: plane for method, plane in spanned.items() if plane is not None}
        bar.add(1)
        comparison = Comparison(
            title=title,
            reports=reports,
            seconds={method: path.provenance["seconds"] for method, path in paths.items()},
            provenance={**(about or {}), **workspace.origin, "created": _now()},
            explanations={
                method: explain(connector)
                + (_NO_PLANE if method in set(spanned) - set(planes) else "")
                for method, connector in connectors.items()
            },
            planes=planes,
            files={
                method: {"path": workspace.path_file(method).relative_to(folder).as_posix()}
                | ({"plane": _plane_file(method)} if method in planes else {})
                for method in paths
            },
        )
        exported = _export(folder, comparison.best, paths[comparison.best], splits, num_exports)
        comparison.files[comparison.best].update(exported)
        figures = write_figures(folder / "figures", comparison)
        written = sorted(
            [*(file.relative_to(folder).as_posix() for file in figures), *exported.values()]
            + [_plane_file(method) for method in planes]
        )
        # Of an earlier report, on other networks perhaps.
        for file in set(files_of_report(folder / "results.json")) - set(written):
            _remove(folder / file)
        write_results(folder / "results.json", comparison, written)
        write_html_report(folder / "report.html", comparison)
        workspace.finish()
        bar.add(1)
    return comparison


def _planes(
    workspace: Workspace,
    folder: pathlib.Path,
    paths: Mapping[str, Path],
    connectors: Mapping[str, Connector],
    splits: Mapping[str, Any],
    resolution: int,
) -> dict[str, PlaneReport | None]:
    """The planes of trained curves, with the straight line in them; `None` where there is none."""
    line = {method: path for method, path in paths.items() if method == "linear"}
    planes: dict[str, PlaneReport | None] = {}
    for method, connector in connectors.items():
        if not resolution or not isinstance(connector, CurveFitting):
            continue
        try:
            plane = evaluate_plane(
                paths[method],
                splits,
                resolution,
                paths=line,
                checkpoint=workspace.checkpoint(f"plane_{method}"),
                verbose=workspace.verbose,
            )
        except ValueError as error:
            # A bend that stayed on the straight line spans no plane.
            if "on one line" not in str(error):
                raise
            planes[method] = None
        else:
            plane.save(folder / _plane_file(method))
            planes[method] = plane
    return planes


def _export(
    folder: pathlib.Path, method: str, path: Path, splits: Mapping[str, Any], count: int
) -> dict[str, str]:
    """SavedModels of evenly spaced points; name to folder, relative to the report's."""
    positions = np.linspace(0, 1, count).tolist()
    folders = export_points(
        path, folder / "savedmodels" / method, positions, batch_norm_data=splits.get("train")
    )
    return {
        f"SavedModel at t = {t:.3g}": point.relative_to(folder).as_posix()
        for t, point in zip(positions, folders, strict=True)
    }


def _remove(file: pathlib.Path) -> None:
    """Remove a file or folder, if it is there, and the folder that it is in, if that is empty."""
    if file.is_dir():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is something else in it
        file.parent.rmdir()


def _plane_file(method: str) -> str:
    return f"planes/{method}.json"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
