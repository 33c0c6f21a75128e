"""What the commands work on: trained networks and data, from the zoo or from files."""

import importlib
import importlib.util
import os
import pathlib
import re
import sys
import zipfile
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


CODE_HELP = (
    "Python files or modules to import first, separated by commas, such as those with layers of "
    "your own that models are made of."
)
DATA_HELP = (
    "Data set: digits, mnist, cifar10, another name of tensorflow-datasets, or an .npz file with "
    "x_train, y_train, x_test and y_test."
)


def import_code(names: Iterable[str]) -> None:
    """Import Python files, by their name, and modules, those of this folder among them.

    Their classes and functions may then be parts of models that are loaded, registered with Keras
    or not.

    Raises:
        ValueError: If there is no such file or module, or importing it fails.
    """
    import keras

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for name in names:
        if name.endswith(".py") and not os.path.exists(name):
            raise ValueError(f"There is no file {name!r} for --code; check the name.")
        try:
            module = (
                _import_file(pathlib.Path(name))
                if name.endswith(".py")
                else importlib.import_module(name)
            )
        except Exception as error:
            raise ValueError(
                f"Cannot import --code={name}: {type(error).__name__}: {error}"
            ) from error
        for key, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", None) == module.__name__:
                keras.saving.get_custom_objects().setdefault(key, value)


def population_file(text: str, *, verbose: int = 1) -> str | None:
    """File of the networks that a flag names, by itself or by a population of the zoo.

    Args:
        text: What was given.
        verbose: 1 shows a progress bar while downloading, 0 nothing.

    Returns:
        The file, downloaded if it was not here; `None` if `text` is neither.

    Raises:
        ValueError: If it is another kind of file, or no place has the population's.
    """
    from mc_keras.zoo.download import fetch
    from mc_keras.zoo.manifest import manifest_of

    zoo = manifest_of(None)
    if text in zoo.populations:
        entry = zoo.population(text)
        return str(fetch(entry, "networks", base_urls=zoo.base_urls, verbose=verbose))
    if text.endswith(".networks"):
        return text
    if _is_file(text):
        raise ValueError(
            f"{text!r} is another kind of file: files of networks, which mc-train --count writes, "
            "end in .networks."
        )
    return None


def _is_file(text: str) -> bool:
    """Whether it names a file: one without a suffix may just be called like what is meant."""
    return bool(pathlib.PurePath(text).suffix) and os.path.isfile(text)


def _import_file(file: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ValueError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def load_model(file: str) -> "keras.Model":
    """The Keras model in a `.keras` file.

    Raises:
        ValueError: If there is no such file, or it cannot be loaded; one sentence says why.
    """
    import keras

    if not os.path.exists(file):
        raise ValueError(f"There is no model file {file!r}; check the name.")
    if file.endswith(".weights.h5"):
        raise ValueError(
            f"{file!r} holds weights alone, and not the model; save the whole of it with "
            "model.save('name.keras')."
        )
    if not file.endswith((".h5", ".hdf5")) and not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file!r} is not a whole .keras file: it was truncated, altered, or is another kind "
            "of file; save the model again with model.save('name.keras')."
        )
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if unknown := re.search(r"Could not locate class '(\w+)'", str(error)):
            reason = (
                f"it has a layer of a class {unknown[1]!r} that is not known here; name the Python "
                "file that defines it, --code=FILE.py."
            )
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
        if _is_file(name):
            raise ValueError(
                f"{name!r} is another kind of file: data files are .npz files with the arrays "
                f"{', '.join(_ARRAYS)}; write one by numpy.savez."
            )
        import mc_keras as mc

        return mc.zoo.load_data(name, data_dir=data_dir)._asdict()
    import numpy as np

    if not os.path.exists(name):
        raise ValueError(f"There is no data file {name!r}; check the name.")
    if not zipfile.is_zipfile(name):
        raise ValueError(
            f"{name!r} is not a whole .npz file: it was truncated, altered, or is another kind of "
            f"file; write it by numpy.savez, with the arrays {', '.join(_ARRAYS)}."
        )
    try:
        with np.load(name, allow_pickle=False) as arrays:
            x_train, y_train, x_test, y_test = (arrays[key] for key in _ARRAYS)
    except Exception as error:
        reason = str(error)
        if "allow_pickle" in reason:
            reason = "one of them holds Python objects, such as texts or lists, and no numbers"
        raise ValueError(
            f"Cannot read {name!r}: expected an .npz file with the arrays {', '.join(_ARRAYS)}: "
            f"{reason}"
        ) from error
    return {"train": (x_train, y_train), "test": (x_test, y_test)}
