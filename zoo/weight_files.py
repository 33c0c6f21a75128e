"""Weights files that hold their kernels in half the bits."""

import json
import os
import pathlib
import tempfile
import zipfile
from typing import Any

import h5py
import keras
import numpy as np

from mc_keras.storage import atomic_write


def write_weights(
    model: keras.Model, file: str | os.PathLike[str], *, half_precision: bool
) -> None:
    """Writes the weights of a model as a `.weights.h5` file.

    Args:
        model: A model that is not compiled: Keras would store its optimizer as well.
        file: Where to write; the file is whole or absent.
        half_precision: Whether arrays of two axes or more are stored in float16. Biases and
            batch-norm statistics stay as they are: they are few, and variances may not fit.

    Raises:
        OSError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder, atomic_write(file) as target:
        full = pathlib.Path(folder) / "full.weights.h5"
        model.save_weights(full)
        # In the default layout, not a newer one: those hold times, and the digest would change.
        with h5py.File(full) as source, h5py.File(target, "w") as copy:
            source.visititems(lambda name, item: _copy(name, item, copy, half_precision))


def write_model(model: keras.Model, file: str | os.PathLike[str], *, half_precision: bool) -> None:
    """Writes a model as a `.keras` file.

    Args:
        model: A model that is not compiled.
        file: Where to write; the file is whole or absent.
        half_precision: As for `write_weights`.

    Raises:
        OSError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder, atomic_write(file) as target:
        full, weights = pathlib.Path(folder) / "full.keras", pathlib.Path(folder) / "weights.h5"
        model.save(full)
        with zipfile.ZipFile(full) as source, zipfile.ZipFile(target, "w") as copy:
            for name in source.namelist():
                contents = source.read(name)
                if name == "model.weights.h5":
                    weights.write_bytes(contents)
                    halved = weights.with_name("halved.h5")
                    with h5py.File(weights) as before, h5py.File(halved, "w") as after:
                        before.visititems(
                            lambda item, value: _copy(item, value, after, half_precision)
                        )
                    contents = halved.read_bytes()
                elif name == "metadata.json":
                    metadata = json.loads(contents)
                    metadata.pop("date_saved", None)  # equal models are equal files
                    contents = json.dumps(metadata).encode()
                copy.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED)


def _copy(name: str, item: Any, target: h5py.File, half_precision: bool) -> None:  # noqa: FBT001
    if not isinstance(item, h5py.Dataset):
        target.require_group(name).attrs.update(item.attrs)
        return
    values = item[()]
    if half_precision and values.ndim >= 2 and values.dtype == np.float32:
        with np.errstate(over="ignore"):  # infinite above 65504
            values = values.astype(np.float16)
    target.create_dataset(name, data=values).attrs.update(item.attrs)
