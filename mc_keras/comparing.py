"""`compare_methods`: connect two networks by several methods, measure and write everything down."""

import datetime
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mc_keras.connectors import Connector, CurveFitting, connect
from mc_keras.evaluation import PathReport, PlaneReport, evaluate_path, evaluate_plane
from mc_keras.evaluation.points import checked_splits
from mc_keras.export import export_points
from mc_keras.paths import Path, load_path
from mc_keras.progress import ProgressBar
from mc_keras.provenance import versions
from mc_keras.reporting import (
    Comparison,
    explain,
    write_figures,
    write_html_report,
    write_results,
)
from mc_keras.storage import PathLike, fingerprint
from mc_keras.weight_space import WeightSpace, check_same_architecture


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
    and data, are not made again.

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
    splits = checked_splits(start, data)
    origin = _origin(start, end, splits, seed)
    run = _Run(pathlib.Path(folder), splits, num_points, verbose)
    bar = ProgressBar("connecting", 3 * len(connectors) + 2, verbose=int(verbose == 1))
    paths, reports = {}, {}
    for method, connector in connectors.items():
        paths[method] = run.saved_path(method, connector, origin) or run.save(
            method,
            connect(start, end, connector, splits, seed=seed, verbose=int(verbose == 2)),
        )
        bar.add(2)
        reports[method] = run.measure(method, paths[method])
        bar.add(1)
    planes = run.planes(paths, connectors, plane_resolution)
    bar.add(1)
    comparison = Comparison(
        title=title,
        reports=reports,
        seconds={method: path.provenance["seconds"] for method, path in paths.items()},
        provenance={**(about or {}), **origin, "created": _now()},
        explanations={method: explain(connector) for method, connector in connectors.items()},
        planes=planes,
        files={
            method: {"path": _path_file(method)}
            | ({"plane": _plane_file(method)} if method in planes else {})
            for method in paths
        },
    )
    exported = run.export(comparison.best, paths[comparison.best], num_exports)
    comparison.files[comparison.best].update(exported)
    run.write(comparison)
    bar.add(1)
    return comparison


class _Run:
    """The steps of a comparison that write to its folder."""

    def __init__(self, folder: pathlib.Path, splits: dict[str, Any], num_points: int, verbose: int):
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._splits = splits
        self._num_points = num_points
        self._verbose = int(verbose == 2)

    def saved_path(
        self, method: str, connector: Connector, origin: Mapping[str, Any]
    ) -> Path | None:
        """The path of an earlier run, if it was made in the same way from the same."""
        try:
            path = load_path(self._folder / _path_file(method))
        except (OSError, ValueError):
            return None
        data = origin["data"].get("train") if connector.needs_data else None
        config = {"class": type(connector).__name__, **connector.get_config()}
        expected = {**origin, "data": data, "connector": json.loads(json.dumps(config))}
        same = all(path.provenance.get(key) == value for key, value in expected.items())
        return path if same else None

    def save(self, method: str, path: Path) -> Path:
        """Write a new path; the same path is returned."""
        path.save(self._folder / _path_file(method))
        return path

    def measure(self, method: str, path: Path) -> PathReport:
        """Evaluate a path, from where an earlier run was."""
        return evaluate_path(
            path,
            self._splits,
            self._num_points,
            checkpoint=self._unfinished / f"{method}.checkpoint",
            verbose=self._verbose,
        )

    def planes(
        self, paths: Mapping[str, Path], connectors: Mapping[str, Connector], resolution: int
    ) -> dict[str, PlaneReport]:
        """Evaluate the planes of trained curves, with the straight line in them."""
        line = {method: path for method, path in paths.items() if method == "linear"}
        planes = {}
        for method, connector in connectors.items():
            if not resolution or not isinstance(connector, CurveFitting):
                continue
            try:
                planes[method] = evaluate_plane(
                    paths[method],
                    self._splits,
                    resolution,
                    paths=line,
                    checkpoint=self._unfinished / f"plane_{method}.checkpoint",
                    verbose=self._verbose,
                )
            except ValueError as error:
                # A bend that stayed on the straight line spans no plane.
                if "on one line" not in str(error):
                    raise
            else:
                planes[method].save(self._folder / _plane_file(method))
        return planes

    def export(self, method: str, path: Path, count: int) -> dict[str, str]:
        """SavedModels of evenly spaced points; name to folder, relative to the report's."""
        positions = np.linspace(0, 1, count).tolist()
        folders = export_points(
            path,
            self._folder / "savedmodels" / method,
            positions,
            batch_norm_data=self._splits.get("train"),
        )
        return {
            f"SavedModel at t = {t:.3g}": folder.relative_to(self._folder).as_posix()
            for t, folder in zip(positions, folders, strict=True)
        }

    def write(self, comparison: Comparison) -> None:
        """Write report, results and figures; what was kept to go on is not needed any more."""
        write_figures(self._folder / "figures", comparison)
        write_results(self._folder / "results.json", comparison)
        write_html_report(self._folder / "report.html", comparison)
        shutil.rmtree(self._unfinished, ignore_errors=True)


def _origin(start: keras.Model, end: keras.Model, splits: Any, seed: int) -> dict[str, Any]:
    """What a path depends on besides its method."""
    return {
        "start": {"name": start.name, "sha256": fingerprint(WeightSpace(start).read())},
        "end": {"name": end.name, "sha256": fingerprint(WeightSpace(end).read())},
        "data": {
            name: {"sha256": fingerprint((x, y)), "examples": len(x)}
            for name, (x, y) in splits.items()
        },
        "seed": seed,
        "versions": versions(),
    }


def _path_file(method: str) -> str:
    return f"paths/{method}.path"


def _plane_file(method: str) -> str:
    return f"planes/{method}.json"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
