"""Data that users pass: splits of (x, y), arrays or `tf.data`, brought to memory and checked."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

XY = tuple[np.ndarray, np.ndarray]


def as_splits(data: Any) -> dict[str, XY]:
    """Splits by name, in memory.

    Args:
        data: Mapping or named tuple of split name to `(x, y)` or to a `tf.data.Dataset` (batched
            or not) of such pairs.

    Returns:
        Split name to NumPy arrays `(x, y)`.

    Raises:
        TypeError: If `data` is something else.
        ValueError: If there is no split, or one is empty.
    """
    if hasattr(data, "_asdict"):
        data = data._asdict()
    if not isinstance(data, Mapping):
        raise TypeError(
            'Expected splits by name, such as {"train": (x, y), "test": (x, y)}, received '
            f"{type(data).__name__}."
        )
    if not data:
        raise ValueError('Expected at least one split, such as {"test": (x, y)}, received none.')
    return {str(name): as_xy(split, f"split '{name}'") for name, split in data.items()}


def as_xy(split: Any, name: str = "data") -> XY:
    """One split as NumPy arrays `(x, y)`.

    Args:
        split: A pair `(x, y)` of array-likes or a `tf.data.Dataset` of such pairs.
        name: What to call it in errors.

    Raises:
        TypeError: If it is something else.
        ValueError: If it is empty or x and y have different lengths.
    """
    if hasattr(split, "as_numpy_iterator"):
        x, y = _from_dataset(split, name)
    elif isinstance(split, tuple | list) and len(split) == 2:
        x, y = np.asarray(split[0]), np.asarray(split[1])
    else:
        raise TypeError(
            f"The {name} must be a pair (x, y) of arrays or a tf.data.Dataset of pairs, received "
            f"{type(split).__name__}."
        )
    if x.ndim == 0 or y.ndim == 0 or len(x) == 0:
        raise ValueError(f"The {name} is empty: it needs at least one example.")
    if len(x) != len(y):
        raise ValueError(
            f"The {name} has {len(x)} inputs and {len(y)} targets: x and y need one row for each "
            "example."
        )
    return x, y


def inputs_of(data: Any) -> np.ndarray:
    """The inputs x of an array, a pair `(x, y)` or a `tf.data.Dataset` of pairs or of inputs."""
    if hasattr(data, "as_numpy_iterator"):
        spec = data.element_spec
        return as_xy(data)[0] if isinstance(spec, tuple) else _stack(list(data.as_numpy_iterator()))
    if isinstance(data, tuple | list) and len(data) == 2 and np.ndim(data[0]) > 0:
        return as_xy(data)[0]
    return np.asarray(data)


def training_data(data: Any) -> XY:
    """The split to build a path from: `(x, y)` itself, or the split named "train"."""
    if data is None:
        raise ValueError(
            "This method needs data: pass data=(x, y), the data the networks were trained on."
        )
    if isinstance(data, Mapping) or hasattr(data, "_asdict"):
        splits = data._asdict() if hasattr(data, "_asdict") else data
        if "train" not in splits:
            raise ValueError(
                f"The data need a split named 'train', received {sorted(map(str, splits))}."
            )
        return as_xy(splits["train"], "split 'train'")
    return as_xy(data)


def check_data(model: keras.Model, x: np.ndarray, y: np.ndarray, name: str = "data") -> None:
    """Check that `(x, y)` can be fed to `model`.

    Raises:
        ValueError: If the shape does not fit, x has NaN, or integer labels are out of range.
    """
    expected = model.input_shape
    if isinstance(expected, tuple) and expected and not isinstance(expected[0], tuple | list):
        fits = len(expected) == x.ndim and all(
            e is None or e == s for e, s in zip(expected[1:], x.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"The inputs of the {name} have shape {x.shape[1:]} for each example, the model "
                f"'{model.name}' takes {tuple(expected[1:])}: reshape the data or pass the data "
                "the model was trained on."
            )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(
            f"The inputs of the {name} hold NaN or infinite values: remove those examples."
        )
    num_outputs = model.output_shape[-1]
    if y.dtype.kind in "iu" and is_label(y) and num_outputs and num_outputs > 1:
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= num_outputs:
            raise ValueError(
                f"The labels of the {name} go from {low} to {high}, the model '{model.name}' has "
                f"{num_outputs} outputs: labels must be integers from 0 to {num_outputs - 1}."
            )


def is_label(y: np.ndarray) -> bool:
    """Whether `y` holds one number for each example."""
    return y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)


def _from_dataset(dataset: Any, name: str) -> XY:
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2:
        raise TypeError(f"The {name} must be a tf.data.Dataset of pairs (x, y), received {spec}.")
    elements = list(dataset.as_numpy_iterator())
    if not elements:
        raise ValueError(f"The {name} is empty: it needs at least one example.")
    # Labels are scalars in an unbatched data set, vectors in a batched one.
    if np.ndim(elements[0][1]) == 0:
        return _stack([e[0] for e in elements]), _stack([e[1] for e in elements])
    x, y = (np.concatenate([np.asarray(e[i]) for e in elements]) for i in (0, 1))
    return x, y


def _stack(items: list[Any]) -> np.ndarray:
    return np.stack([np.asarray(item) for item in items])
