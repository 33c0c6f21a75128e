"""What the commands work on: trained networks and data, from the zoo or from files."""

import os
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_model(file: str) -> "keras.Model":
    """The Keras model in a `.keras` file.

    Raises:
        ValueError: If there is no such file, or it cannot be loaded; one sentence says why.
    """
    import keras

    if not os.path.exists(file):
        raise ValueError(f"There is no model file {file!r}; check the name.")
    if not file.endswith((".h5", ".hdf5")) and not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file!r} is not a whole .keras file: it was truncated, altered, or is another kind "
            "of file; save the model again with model.save('name.keras')."
        )
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"Cannot load {file!r} as a Keras model: {reason}") from error


def load_data(name: str, data_dir: str | None) -> dict[str, tuple[Any, Any]]:
    """Training and test data by the name of a data set or from an `.npz` file.

    Args:
        name: `digits`, a name of tensorflow-datasets, or a file with the arrays `x_train`,
            `y_train`, `x_test` and `y_test`.
        data_dir: Folder of tensorflow-datasets.

    Returns:
        `{"train": (x, y), "test": (x, y)}`.

    Raises:
        ValueError: If there is no such data set, or the file is not one.
    """
    if not name.endswith(".npz"):
        import mc_keras as mc

        return mc.zoo.load_data(name, data_dir=data_dir)._asdict()
    import numpy as np

    if not os.path.exists(name):
        raise ValueError(f"There is no data file {name!r}; check the name.")
    try:
        with np.load(name, allow_pickle=False) as arrays:
            x_train, y_train, x_test, y_test = (arrays[key] for key in _ARRAYS)
    except Exception as error:
        raise ValueError(
            f"Cannot read {name!r}: expected an .npz file with the arrays {', '.join(_ARRAYS)}: "
            f"{error}"
        ) from error
    return {"train": (x_train, y_train), "test": (x_test, y_test)}
