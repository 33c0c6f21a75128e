"""SavedModels of points of a path, and of a whole path that serves (x, t)."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mc_keras.batch_norm import BatchNormEstimator, is_measured_again
from mc_keras.cloning import clone
from mc_keras.data import inputs_of
from mc_keras.paths import Path
from mc_keras.paths.base import check_position
from mc_keras.paths.files import ArrayStore
from mc_keras.storage import PathLike, atomic_folder
from mc_keras.weight_space import WeightSpace


def export_points(
    path: Path,
    folder: PathLike,
    positions: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    batch_norm_data: Any = None,
    batch_norm: str = "reestimate",
) -> list[pathlib.Path]:
    """Write a SavedModel for each chosen position of a path.

    Each is an ordinary exported Keras model with the endpoint `serve(x)`, for TensorFlow Serving,
    TFLite conversion or `tf.saved_model.load`.

    Args:
        path: The path.
        folder: Folder to write into; each SavedModel is a folder `t_0.500` and so on in it.
        positions: Positions in `[0, 1]`.
        batch_norm_data: Inputs `x`, `(x, y)` or a `tf.data.Dataset` to re-estimate batch-norm
            statistics from at the positions inside the path; the ends keep their own.
        batch_norm: `"reestimate"` as above, or `"interpolate"` to take the statistics of the ends,
            interpolated, which are usually wrong between them.

    Returns:
        The folders, in the order of the positions.

    Raises:
        ValueError: If a position is outside `[0, 1]`, two share a name, or batch-norm statistics
            are to be measured and there are no data.
        OSError: If the folder cannot be written; SavedModels are whole or absent.
    """
    folders = position_folders(folder, positions)
    measured = any(0 < t < 1 for t in positions) and _is_measured(path, batch_norm, batch_norm_data)
    for t, target in zip(positions, folders, strict=True):
        data = batch_norm_data if measured and 0 < t < 1 else None
        model = _in_inference(path.model(t, data))
        with atomic_folder(target) as temporary:
            model.export(os.fspath(temporary), verbose=False)
    return folders


def position_folders(folder: PathLike, positions: Sequence[float]) -> list[pathlib.Path]:
    """The folders that `export_points` writes.

    Raises:
        ValueError: If a position is outside `[0, 1]`, or two share a name.
    """
    positions = [check_position(t) for t in positions]
    folders = [pathlib.Path(folder) / position_name(t) for t in positions]
    if len(set(folders)) != len(folders):
        raise ValueError(
            f"Positions must differ in the first three decimals, received {positions}."
        )
    return folders


def _is_measured(path: Path, batch_norm: str, data: Any) -> bool:
    """Whether batch-norm statistics are to be measured; a ValueError if there are no data."""
    if not is_measured_again(path.space.model, batch_norm):
        return False
    if data is None:
        raise ValueError(
            "The network has batch normalisation, whose statistics are measured on training inputs "
            "between the ends of a path: give some by `batch_norm_data` (mc-export: --data), or "
            "pass batch_norm='interpolate' for those of the ends, interpolated, which are usually "
            "wrong."
        )
    return True


def _in_inference(model: keras.Model) -> keras.Model:
    """The model, whose augmentation layers would otherwise work in what is exported."""
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(inputs, model(inputs, training=False), name=model.name)


def position_name(t: float) -> str:
    """Name of the folder of the SavedModel at `t`."""
    return f"t_{t:.3f}"


def export_path(
    path: Path,
    folder: PathLike,
    *,
    batch_norm_data: Any = None,
    batch_norm: str = "reestimate",
    num_batch_norm_points: int = 21,
) -> pathlib.Path:
    """Write one SavedModel of the whole path, whose endpoint `serve(x, t)` takes the position.

    Args:
        path: The path.
        folder: The SavedModel's folder.
        batch_norm_data: Inputs `x`, `(x, y)` or a `tf.data.Dataset`. Where the network has batch
            normalisation its statistics are re-estimated at `num_batch_norm_points` positions and
            at the knots, and interpolated between them.
        batch_norm: `"reestimate"` as above, or `"interpolate"` to let them go on a straight line
            between those of the ends, where they are usually wrong.
        num_batch_norm_points: Number of evenly spaced positions.

    Returns:
        The folder.

    Raises:
        ValueError: If the networks have several inputs, or batch-norm statistics are to be measured
            and there are no data.
        OSError: If the folder cannot be written; the SavedModel is whole or absent.

    Example:

    >>> served = tf.saved_model.load("out/path")  # doctest: +SKIP
    >>> served.serve(images, tf.constant(0.25))  # doctest: +SKIP
    """
    model = path.space.model
    if len(model.inputs) != 1:
        raise ValueError(
            f"A whole path is served with one input tensor, received '{model.name}' with "
            f"{len(model.inputs)}: export points of it by export_points."
        )
    module = _PathModule(path)
    if _is_measured(path, batch_norm, batch_norm_data):
        x = inputs_of(batch_norm_data, model)
        module.statistics = _Statistics(path, x, num_batch_norm_points)
    archive = keras.export.ExportArchive()
    archive.track(module)
    archive.add_endpoint(
        name="serve",
        fn=module.serve,
        input_signature=[
            tf.TensorSpec(model.input_shape, model.inputs[0].dtype, name="x"),
            tf.TensorSpec((), "float32", name="t"),
        ],
    )
    with atomic_folder(folder) as temporary:
        archive.write_out(os.fspath(temporary), verbose=False)
    return pathlib.Path(folder)


class _PathModule(tf.Module):
    """The network on a path as a function of the input and the position."""

    def __init__(self, path: Path):
        super().__init__()
        self._space = WeightSpace(clone(path.space.model))
        # Tracked for what the graph needs besides variables, such as the tables of look-ups.
        self.template = self._space.model
        self._path = path
        store = ArrayStore()
        path.describe(store)
        self.arrays = [tf.Variable(array, trainable=False) for array in store.arrays.values()]
        position = {name: i for i, name in enumerate(store.arrays)}
        self._as_tensor = lambda array: self.arrays[position[store.add(array)]].value()
        # The graph refers to the template's own variables, though it never reads their values.
        self.placeholders = [v.value for v in self._space.model.variables]
        self.statistics: _Statistics | None = None

    def serve(self, x: tf.Tensor, t: tf.Tensor) -> Any:
        """Outputs of the network at `t`, which is clipped to `[0, 1]`."""
        t = tf.clip_by_value(t, 0.0, 1.0)
        point, state = self._path.tensor_point(t, self._as_tensor)
        if self.statistics is not None:
            state = self.statistics(t)
        return self._space(point, x, state=state)


class _Statistics(tf.Module):
    """States measured at rising positions, and interpolated between them."""

    def __init__(self, path: Path, x: np.ndarray, num_points: int):
        super().__init__()
        self._positions = np.union1d(np.linspace(0, 1, num_points), path.knots)
        estimate = BatchNormEstimator(path.space.model, x)
        states = [
            estimate(path(t), path.state(t)) if 0 < t < 1 else path.state(t)
            for t in map(float, self._positions)
        ]
        self._tables = [np.stack(column) for column in zip(*states, strict=True)]

    def __call__(self, t: tf.Tensor) -> list[Any]:
        positions = tf.constant(self._positions, "float32")
        last = len(self._positions) - 2
        k = tf.clip_by_value(tf.searchsorted(positions, [t], side="right")[0] - 1, 0, last)
        s = (t - positions[k]) / (positions[k + 1] - positions[k])
        return [
            tf.cast(1 - s, table.dtype) * tf.gather(table, k)
            + tf.cast(s, table.dtype) * tf.gather(table, k + 1)
            if table.dtype.is_floating
            else tf.gather(table, k)
            for table in map(tf.constant, self._tables)
        ]
