"""Data that users pass: splits of (x, y), arrays or `tf.data`, brought to memory and checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

XY = tuple[np.ndarray, np.ndarray]

_ONE_ARRAY = (
    "data are used with networks of one input and one output, x and y one array each. Take a "
    "method that needs no data, such as 'linear', 'arc' or 'ot', and pass none."
)


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
        ValueError: If it is empty, x or y is not one array, or they have different lengths.
    """
    if hasattr(split, "as_numpy_iterator"):
        x, y = _from_dataset(split, name)
    elif isinstance(split, tuple | list) and len(split) == 2:
        x, y = _one_array(split[0], "inputs", name), _one_array(split[1], "targets", name)
    else:
        raise TypeError(
            f"The {name} must be a pair (x, y) of arrays or a tf.data.Dataset of pairs, received "
            f"{type(split).__name__}."
        )
    if x.ndim == 0 or y.ndim == 0 or len(x) == 0:
        raise ValueError(f"The {name} is empty: it needs at least one example.")
    if len(x) != len(y):
        raise ValueError(
            f"The {name} has {len(x)} inputs and {len(y)} targets: x and y must be one array each, "
            "with one row for each example."
        )
    return x, y


def subset(arrays: Sequence[np.ndarray], count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Some examples, drawn at random, in the order that they were in.

    The first ones may all be of one class.

    Args:
        arrays: Arrays with one row for each example.
        count: How many examples; all, not copied, where there are not more.
        seed: Of the choice.
    """
    size = len(arrays[0])
    if count >= size:
        return tuple(arrays)
    chosen = np.sort(np.random.default_rng(seed).choice(size, count, replace=False))
    return tuple(array[chosen] for array in arrays)


def inputs_of(data: Any) -> np.ndarray:
    """The inputs x of an array, a pair `(x, y)` or a `tf.data.Dataset` of pairs or of inputs."""
    if hasattr(data, "as_numpy_iterator"):
        if isinstance(data.element_spec, tuple):
            return as_xy(data)[0]
        elements = [np.asarray(element) for element in data.as_numpy_iterator()]
        # Batches have a first dimension that is not known before: the last may be smaller.
        shape = data.element_spec.shape
        return (np.concatenate if shape.rank and shape[0] is None else np.stack)(elements)
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
        ValueError: If the model has several inputs or outputs, the shape does not fit, x has NaN,
            or integer labels are out of range.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"The {name} cannot be used with the model '{model.name}', which has "
            f"{len(model.inputs)} inputs and {len(model.outputs)} outputs: {_ONE_ARRAY}"
        )
    expected = tuple(model.inputs[0].shape[1:])
    if len(expected) != x.ndim - 1 or any(
        e not in (None, s) for e, s in zip(expected, x.shape[1:], strict=True)
    ):
        raise ValueError(
            f"The inputs of the {name} have shape {x.shape[1:]} for each example, the model "
            f"'{model.name}' takes {expected}: reshape the data or pass the data the model was "
            "trained on."
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


def _one_array(part: Any, kind: str, name: str) -> np.ndarray:
    """Inputs or targets as an array, or a ValueError where they are several or ragged."""
    if isinstance(part, Mapping):
        raise _several(kind, name)
    try:
        return np.asarray(part)
    except ValueError as error:  # rows of different lengths
        raise _several(kind, name) from error


def _several(kind: str, name: str) -> ValueError:
    return ValueError(f"The {kind} of the {name} are not one array: {_ONE_ARRAY}")


def _from_dataset(dataset: Any, name: str) -> XY:
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2:
        raise TypeError(f"The {name} must be a tf.data.Dataset of pairs (x, y), received {spec}.")
    for part, kind in zip(spec, ("inputs", "targets"), strict=False):
        if isinstance(part, tuple | list | Mapping):
            raise _several(kind, name)
    elements = list(dataset.as_numpy_iterator())
    if not elements:
        raise ValueError(f"The {name} is empty: it needs at least one example.")
    x, y = ([np.asarray(element[i]) for element in elements] for i in (0, 1))
    join = np.concatenate if _batched(spec, x, y) else np.stack
    return join(x), join(y)


def _batched(spec: Any, x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> bool:
    """Whether elements are batches: as many inputs as targets in each, by the spec as well.

    Rows of one length, with targets of that length, look like batches.
    """
    if not all(a.ndim and b.ndim and len(a) == len(b) for a, b in zip(x, y, strict=True)):
        return False
    of_x, of_y = (part.shape for part in spec[:2])
    return of_x.rank is None or of_y.rank is None or of_x[0] == of_y[0]
