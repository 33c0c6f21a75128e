"""`evaluate_plane`: loss and metrics on a plane through three points of weight space."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.checkpoint import Checkpoint
from mc_keras.cloning import clone
from mc_keras.evaluation.engine import Engine
from mc_keras.evaluation.families import AffineFamily
from mc_keras.evaluation.frame import Frame
from mc_keras.evaluation.identity import points_fingerprint
from mc_keras.evaluation.measures import Measures
from mc_keras.evaluation.plane_report import PlaneReport, Projection
from mc_keras.evaluation.points import check_batch_norm, checked_splits
from mc_keras.paths import AffinePath, Bezier, Path, PolygonalChain
from mc_keras.provenance import versions
from mc_keras.storage import PathLike, fingerprint
from mc_keras.tasks import check_targets
from mc_keras.weight_space import WeightSpace, check_finite

_NUM_PATH_POINTS = 61


def evaluate_plane(
    points: Path | Sequence[Any],
    data: Any,
    resolution: int = 21,
    *,
    margin: float = 0.2,
    space: WeightSpace | None = None,
    paths: Mapping[str, Path] | None = None,
    loss: Any = None,
    metrics: Sequence[Any] = ("accuracy",),
    batch_size: int | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 1,
) -> PlaneReport:
    """Measure loss and metrics on a grid of the plane through three points of weight space.

    The plane has the coordinates `w(x, y) = w1 + x * u + y * v`, with `u` and `v` orthonormal
    (Gram-Schmidt): `u` points from `w1` to `w2`, and `v` towards `w3`. The products of the first
    layer with the data are computed for three points, not for all of the grid. Batch-norm
    statistics are measured at every node on the inputs of the split `"train"`; other state, such
    as that of frozen batch-norm layers, is that of the first point.

    Args:
        points: The three points: Keras models of one architecture, or lists of arrays; or a path,
            for its start, its end and its bend (its middle, if it is not a curve with one bend).
        data: Mapping or named tuple of split name to `(x, y)` or `tf.data.Dataset`.
        resolution: Nodes of the grid along each side.
        margin: What the grid reaches beyond the three points on each side, as a fraction of their
            extent.
        space: Weight space that lists of arrays belong to, such as `path.space`.
        paths: Name to a path to be projected to the plane. If `points` is a path, it is among them
            under the name of its method.
        loss: See `evaluate_path`.
        metrics: See `evaluate_path`.
        batch_size: See `evaluate_path`.
        checkpoint: See `evaluate_path`.
        verbose: 1 for a progress bar, 0 for silence.

    Returns:
        The report.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the points lie on a line, or do not belong to one architecture, or the data
            do not fit the network; see `evaluate_path`.
        OSError: If the checkpoint cannot be written.

    Reference:
        Garipov et al., 2018, section A.1, https://arxiv.org/abs/1802.10026

    Example:

    >>> plane = evaluate_plane(curve, {"test": (x, y)})  # doctest: +SKIP
    >>> plane["test_loss"].shape  # doctest: +SKIP
    (21, 21)
    """
    began = time.perf_counter()
    _check_grid(resolution, margin)
    corners = _corners(points, space)
    model = corners.space.model
    drawn = {points.method: points} if isinstance(points, Path) else {}
    drawn.update(paths or {})
    for path in drawn.values():
        check_same_architecture(model, path.space.model)
    frame = Frame(corners.arrays)
    x, y = frame.grid(resolution, margin)
    splits = checked_splits(model, data, loss)
    if loss is None:
        check_targets(model, splits)
    measures = Measures(model, *next(iter(splits.values())), loss, metrics)
    engine = Engine(
        corners.space,
        splits,
        measures,
        [_grid(corners, frame, x, y)],
        batch_size=batch_size,
        reestimate=check_batch_norm(model, "reestimate", splits),
    )
    run = {
        "points": points_fingerprint(model, [*corners.arrays, corners.state]),
        "data": {name: fingerprint(split) for name, split in splits.items()},
        "grid": [x.tolist(), y.tolist()],
        "measures": measures.config,
        "batch size": engine.rows,
    }
    progress = Checkpoint(checkpoint, run)
    values = engine.run(progress, verbose=verbose)
    return PlaneReport(
        values={name: array.reshape(len(y), len(x)) for name, array in values.items()},
        smaller_is_better=measures.directions(splits),
        splits=tuple(splits),
        x=x,
        y=y,
        points=dict(zip(corners.names, map(tuple, frame.coordinates.tolist()), strict=True)),
        projections={name: _projection(path, frame) for name, path in drawn.items()},
        metadata={
            "evaluation": {key.replace(" ", "_"): value for key, value in run.items()},
            "examples": {name: len(targets) for name, (_, targets) in splits.items()},
            "seconds": round(progress.seconds_before + time.perf_counter() - began, 3),
            "versions": versions(),
        },
    )


class _Corners(NamedTuple):
    """The three points of a plane: names, arrays, and the state of the first."""

    space: WeightSpace
    names: tuple[str, str, str]
    arrays: list[list[np.ndarray]]
    state: list[np.ndarray]


def _check_grid(resolution: Any, margin: Any) -> None:
    if not isinstance(resolution, int | np.integer) or resolution < 2:
        raise ValueError(
            f"`resolution` must be an integer of at least 2, received {resolution!r}: it is the "
            "number of nodes along each side of the grid."
        )
    if not isinstance(margin, int | float) or not 0 <= margin < np.inf:
        raise ValueError(
            f"`margin` must be a number of at least 0, received {margin!r}: it is a fraction of "
            "the extent of the three points, such as 0.2."
        )


def _corners(points: Any, space: WeightSpace | None) -> _Corners:
    if isinstance(points, Path):
        third, arrays = _bend(points)
        names = ("start", "end", third)
        corners = _Corners(
            points.space, names, [points(0.0), points(1.0), arrays], points.state(0.0)
        )
    elif not isinstance(points, Sequence) or len(points) != 3:
        raise TypeError(
            "A plane goes through three points: pass a path, three Keras models, or three lists of "
            f"arrays, received {points!r:.80}."
        )
    elif all(isinstance(point, keras.Model) for point in points):
        first, *others = points
        for other in others:
            check_same_architecture(first, other)
        spaces = [WeightSpace(model) for model in points]
        names = ("first", "second", "third")
        arrays = [s.read() for s in spaces]
        corners = _Corners(WeightSpace(clone(first)), names, arrays, spaces[0].read_state())
    elif space is None:
        raise TypeError(
            "Points that are lists of arrays need the weight space they belong to: pass "
            "space=path.space."
        )
    else:
        arrays = [[np.asarray(a) for a in point] for point in points]
        for point in arrays:
            space.check(point, space.variables, "point")
        corners = _Corners(space, ("first", "second", "third"), arrays, space.read_state())
    for name, point in zip(corners.names, corners.arrays, strict=True):
        check_finite(point, corners.space, name)
    return corners


def _bend(path: Path) -> tuple[str, list[np.ndarray]]:
    """The third point of the plane of a path, and what it is."""
    if isinstance(path, AffinePath) and all(
        isinstance(function, Bezier | PolygonalChain) and function.num_control_points == 3
        for function in path.coefficient_functions
    ):
        return "bend", [array for array in path.control_points[1] if array is not None]
    return "middle", path(0.5)


def _grid(corners: _Corners, frame: Frame, x: np.ndarray, y: np.ndarray) -> AffineFamily:
    """The nodes, row by row, as combinations of the three points."""
    shapes = [tuple(variable.shape) for variable in corners.space.variables]
    nodes = [frame.coefficients(a, b) for b in y for a in x]
    return AffineFamily(
        range(len(nodes)),
        shapes,
        corners.arrays,
        [[node] * len(shapes) for node in nodes],
        [corners.state] * len(nodes),
    )


def _projection(path: Path, frame: Frame) -> Projection:
    positions = sorted({*np.linspace(0.0, 1.0, _NUM_PATH_POINTS).tolist(), *path.knots})
    x, y, residual = np.transpose([frame.project(path(t)) for t in positions])
    return Projection(np.array(positions), x, y, residual)
