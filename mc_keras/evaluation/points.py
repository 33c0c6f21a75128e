"""`evaluate_path`: loss and metrics along a path."""

import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.batch_norm import is_measured_again
from mc_keras.checkpoint import Checkpoint
from mc_keras.data import as_splits, check_data, names_them
from mc_keras.evaluation.engine import MOMENTS_SPLIT, Engine
from mc_keras.evaluation.families import families_of
from mc_keras.evaluation.identity import path_fingerprint
from mc_keras.evaluation.lengths import step_lengths
from mc_keras.evaluation.measures import Measures
from mc_keras.evaluation.path_report import PathReport
from mc_keras.paths import Path
from mc_keras.paths.base import check_position
from mc_keras.paths.piecewise import distance
from mc_keras.provenance import versions
from mc_keras.storage import PathLike, fingerprint
from mc_keras.tasks import check_targets


def evaluate_path(
    path: Path,
    data: Any,
    num_points: int = 61,
    *,
    positions: Sequence[float] | None = None,
    loss: Any = None,
    metrics: Sequence[Any] = ("accuracy",),
    batch_size: int | None = None,
    batch_norm: str = "reestimate",
    checkpoint: PathLike | None = None,
    verbose: int = 1,
) -> PathReport:
    """Measure loss and metrics on each split at many positions of a path.

    The products of the first layer with the data are computed once for each control point, not for
    each position. Where the network has batch-norm layers that are not frozen, their statistics
    are measured at every position on the inputs of the split `"train"`, by exact pooled moments
    with dropout off.

    Args:
        path: The path.
        data: Mapping or named tuple of split name to `(x, y)` or `tf.data.Dataset`.
        num_points: Number of positions, evenly spaced from 0 to 1. The knots of the path are
            evaluated as well.
        positions: Positions in `[0, 1]` instead of evenly spaced ones; the ends and the knots are
            evaluated as well.
        loss: Keras loss, its name or a function; the one that fits network and targets if not
            given. It is averaged over the examples, without regularisation terms.
        metrics: Keras metrics, their names or functions. `"accuracy"` is the one that fits the
            targets; a regression has none.
        batch_size: Most examples at once; what suits the network if not given. The batch-norm
            statistics are those of batches of this size.
        batch_norm: `"reestimate"` as above, or `"interpolate"` to take the statistics of the ends,
            interpolated.
        checkpoint: File that holds how far the evaluation is. Killed at any moment and called again
            with the same arguments, it continues; a few seconds of work are lost at most. The file
            stays when all is done.
        verbose: 1 for a progress bar, 0 for silence.

    Returns:
        The report. A loss that is NaN or infinite somewhere is reported as it is.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the data do not fit the network, a split is empty, a metric is unknown, there
            are fewer than two points, or the checkpoint is of another evaluation.
        OSError: If the checkpoint cannot be written.

    Example:

    >>> report = evaluate_path(path, {"test": (x, y)}, num_points=21)  # doctest: +SKIP
    >>> report.worst("test_accuracy")  # doctest: +SKIP
    0.9421
    """
    if not isinstance(path, Path):
        raise TypeError(
            f"Expected a path as mc.connect returns it, received {type(path).__name__}."
        )
    began = time.perf_counter()
    t = _positions(path, num_points, positions)
    splits = checked_splits(path.space.model, data, loss)
    if loss is None:
        check_targets(path.space.model, splits)
    reestimate = check_batch_norm(path.space.model, batch_norm, splits)
    x, y = next(iter(splits.values()))
    measures = Measures(path.space.model, x, y, loss, metrics)
    engine = Engine(
        path.space,
        splits,
        measures,
        families_of(path, t),
        batch_size=batch_size,
        reestimate=reestimate,
    )
    run = {
        "path": path_fingerprint(path),
        "data": {name: fingerprint(split) for name, split in splits.items()},
        "positions": t,
        "measures": measures.config,
        "batch size": engine.rows,
        "batch norm": batch_norm,
    }
    progress = Checkpoint(checkpoint, run)
    values = engine.run(progress, verbose=verbose)
    return PathReport(
        t=np.array(t),
        values=values,
        smaller_is_better=measures.directions(splits),
        splits=tuple(splits),
        steps=step_lengths(path, t),
        chord=distance(path(0.0), path(1.0)),
        method=path.method,
        metadata={
            "evaluation": {key.replace(" ", "_"): value for key, value in run.items()},
            "examples": {name: len(y) for name, (_, y) in splits.items()},
            "provenance": path.provenance,
            "seconds": round(progress.seconds_before + time.perf_counter() - began, 3),
            "versions": versions(),
        },
    )


def _positions(path: Path, num_points: int, positions: Sequence[float] | None) -> list[float]:
    if positions is None:
        if not isinstance(num_points, int | np.integer) or num_points < 2:
            raise ValueError(
                f"`num_points` must be an integer of at least 2, received {num_points!r}: both "
                "ends of the path are among the points."
            )
        positions = np.linspace(0.0, 1.0, num_points).tolist()
    wanted = sorted({check_position(t) for t in positions} | set(path.knots))
    # A knot such as 1/3 may differ from the same point of the grid in its last bits.
    knots = set(path.knots)
    return [
        t for t in wanted if t in knots or not any(math.isclose(t, k, abs_tol=1e-12) for k in knots)
    ]


def checked_splits(
    model: Any, data: Any, loss: Any = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Splits in memory that can be fed to a model.

    Args:
        model: The model.
        data: Splits by name.
        loss: What is measured; the usual loss of the model and the targets if not given.

    Raises:
        TypeError: If `data` are not splits.
        ValueError: If one is empty or does not fit the model, or the model has several inputs or
            outputs.
    """
    for what, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1 or names_them(model, what):
            raise ValueError(
                f"The network '{model.name}' has several {what}s, or names them; paths are "
                f"measured for networks with one {what} tensor: connect models that have one."
            )
    splits = as_splits(data)
    for name, (x, y) in splits.items():
        check_data(model, x, y, f"split '{name}'", are_labels=_takes_labels(loss))
    shapes = {name: y.shape[1:] for name, (_, y) in splits.items()}
    if len({len(() if shape == (1,) else shape) for shape in shapes.values()}) > 1:
        raise ValueError(
            "The targets of all splits must be of one kind, received the shapes "
            f"{', '.join(f'{shape} in {name!r}' for name, shape in shapes.items())} for each "
            "example: one-hot rows in all of them, or labels."
        )
    return splits


def _takes_labels(loss: Any) -> bool:
    """Whether whole numbers are numbers of outputs to a loss, as to the usual one."""
    sparse = keras.losses.SparseCategoricalCrossentropy
    if isinstance(loss, sparse):
        return loss.get_config().get("ignore_class") is None
    return loss in (None, sparse, sparse.__name__, "sparse_categorical_crossentropy")


def check_batch_norm(model: Any, mode: str, splits: Any) -> bool:
    """Whether batch-norm statistics are to be measured.

    Raises:
        ValueError: If there is no such mode, or no split to measure them on.
    """
    reestimate = is_measured_again(model, mode)
    if reestimate and MOMENTS_SPLIT not in splits:
        raise ValueError(
            f"The network has batch normalisation, whose statistics are measured on a split named "
            f"'{MOMENTS_SPLIT}', received {sorted(splits)}: add that split, or pass "
            "batch_norm='interpolate'."
        )
    return reestimate
