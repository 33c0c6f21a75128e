"""Path files: one archive with the architecture, the arrays and the provenance."""

import importlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mc_keras._version import __version__
from mc_keras.paths.affine import AffinePath
from mc_keras.paths.base import Path
from mc_keras.paths.edits import EditsPath
from mc_keras.paths.piecewise import PiecewisePath
from mc_keras.storage import PathLike, fingerprint, read_archive, write_archive
from mc_keras.weight_space import WeightSpace

FORMAT = "mc_keras.path"
FORMAT_VERSION = 1

_KINDS: dict[str, type[Path]] = {
    "affine": AffinePath,
    "edits": EditsPath,
    "piecewise": PiecewisePath,
}

# Kinds of rooms that build on this one: loaded when a file holds them, never before.
_KINDS_ELSEWHERE = {"transported": ("mc_keras.flows", "TransportedPath")}


class ArrayStore:
    """Names arrays; of arrays with the same bits one is stored."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._names: dict[Any, str] = {}
        # With the arrays themselves, as only of those that live the identities differ.
        self._seen: dict[int, tuple[np.ndarray, str]] = {}

    def add(self, array: np.ndarray) -> str:
        """The name of `array`."""
        if id(array) not in self._seen:
            bits = (array.shape, array.dtype, fingerprint([array]))
            name = self._names.setdefault(bits, f"array_{len(self.arrays):05d}")
            self.arrays.setdefault(name, array)
            self._seen[id(array)] = array, name
        return self._seen[id(array)][1]


def save_path(path: Path, file: PathLike) -> None:
    """Write `path` to `file`, atomically.

    Raises:
        ValueError: If Keras could not make the model of the path from its configuration again.
        OSError: If the file cannot be written.
    """
    _check_restorable(path.space.model)
    store = ArrayStore()
    description = path.describe(store)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mc_keras": __version__,
        "architecture": keras.saving.serialize_keras_object(path.space.model),
        "method": path.method,
        "provenance": path.provenance,
        "path": description,
    }
    write_archive(file, header, store.arrays)


def _check_restorable(model: keras.Layer) -> None:
    """Check that no layer is in several models, which their configurations do not tell."""
    inside: dict[int, keras.Layer] = {}
    for container in model._flatten_layers():
        for layer in container.layers if isinstance(container, keras.Model) else ():
            other = inside.setdefault(id(layer), container)
            if other is not container and layer.weights:
                raise ValueError(
                    f"The layer '{layer.name}' is in the models '{other.name}' and "
                    f"'{container.name}', which Keras does not write down, so that it could not be "
                    "read again: build the network without nesting these models."
                )


def load_path(
    file: PathLike, *, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Path:
    """Read a path that `Path.save` wrote.

    Args:
        file: The file.
        custom_objects: Name to class of layers that are not Keras's own nor registered.
        safe_mode: Whether to refuse architectures with Lambda layers, which run code.

    Returns:
        The path, equal to the saved one bit for bit.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated or altered, is not a path file, was written by a newer
            format, or its architecture cannot be rebuilt.
    """
    header, arrays = read_archive(file, "path file")
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{file} is not a path file but holds {header.get('format')!r}; load a file written by "
            "Path.save."
        )
    if header["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{file} has path format {header['format_version']}, written by mc_keras "
            f"{header.get('mc_keras')}; mc_keras {__version__} reads up to format "
            f"{FORMAT_VERSION}: upgrade mc_keras to load it."
        )
    try:
        model = keras.saving.deserialize_keras_object(
            header["architecture"],
            custom_objects=dict(custom_objects or {}),
            safe_mode=safe_mode,
        )
    except Exception as error:
        raise ValueError(
            f"The architecture stored in {file} cannot be rebuilt: pass its own layers as "
            f"custom_objects. Keras says: {str(error).splitlines()[0]}"
        ) from error
    space = WeightSpace(model)

    def load(item: Any) -> Any:
        if isinstance(item, str):
            return arrays[item]
        segment = _kind(item["kind"]).rebuild(space, item, load)
        segment.method = item["method"]
        return segment

    path = load({"method": header["method"], **header["path"]})
    path.provenance = header["provenance"]
    return path


def _kind(name: str) -> type[Path]:
    if name in _KINDS_ELSEWHERE:
        module, attribute = _KINDS_ELSEWHERE[name]
        return getattr(importlib.import_module(module), attribute)
    return _KINDS[name]
