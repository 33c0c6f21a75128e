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


def inputs_of(data: Any, model: keras.Model) -> Any:
    """The inputs of a model, out of data in a form that `fit` takes.

    Args:
        data: Inputs (an array, or a list or mapping of them for a model of several), a pair
            `(x, y)`, or a `tf.data.Dataset` or `keras.utils.PyDataset` of pairs or of inputs.
        model: What takes the inputs.

    Returns:
        A NumPy array, or a list or mapping of them.

    Raises:
        ValueError: If there are none, or no end of them, or they do not fit the model.
    """
    shapes = _input_shapes(model)
    is_dataset = hasattr(data, "as_numpy_iterator") or isinstance(data, keras.utils.PyDataset)
    x = _joined_inputs(data, shapes) if is_dataset else _without_targets(data, shapes)
    parts = _parts(x, shapes)
    if parts.keys() != shapes.keys() or len({len(array) for array in parts.values()}) != 1:
        raise ValueError(
            f"The model '{model.name}' takes {len(shapes)} inputs with one row for each example, "
            f"received arrays of shapes {', '.join(str(a.shape) for a in _arrays(x))}."
        )
    for key, shape in shapes.items():
        parts[key] = array = _of_rank(parts[key], shape)
        if not _fits(array, shape):
            raise ValueError(
                f"The inputs have shape {array.shape}, the model '{model.name}' takes {shape}: "
                "pass what the model was trained on."
            )
        if not len(array):
            raise ValueError("The inputs are empty: at least one example is needed.")
    if isinstance(x, Mapping):
        return parts
    arrays = list(parts.values())
    return arrays if len(arrays) > 1 else arrays[0]


_Shape = tuple[int | None, ...]


def _input_shapes(model: keras.Model) -> dict[str, _Shape]:
    """Shapes of the inputs by their names, in the order in which a list has them."""
    names = [tensor.name for tensor in model.inputs]
    if names_them(model, "input"):
        names = sorted(model.input)
    return {name: tuple(tensor.shape) for name, tensor in zip(names, model.inputs, strict=True)}


def _parts(x: Any, shapes: Mapping[str, _Shape]) -> dict[str, np.ndarray]:
    """The arrays by the names of the inputs; what else a mapping holds is left out."""
    if isinstance(x, Mapping):
        return {key: np.asarray(x[key]) for key in shapes if key in x}
    arrays = _arrays(x)
    if len(shapes) == 1 and len(arrays) > 1:
        arrays = [np.asarray(x)]  # a list of examples
    return dict(zip(shapes, arrays, strict=False)) if len(arrays) == len(shapes) else {}


def _arrays(x: Any) -> list[np.ndarray]:
    if isinstance(x, Mapping):
        x = list(x.values())
    return [_dense(part) for part in (x if isinstance(x, tuple | list) else [x])]


def _dense(part: Any) -> np.ndarray:
    # A sparse matrix of SciPy is one Python object to NumPy.
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part)


def _of_rank(array: np.ndarray, shape: _Shape) -> np.ndarray:
    """With or without a last axis of 1, as Keras feeds it."""
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def _fits(array: np.ndarray, shape: Sequence[int | None]) -> bool:
    return array.ndim == len(shape) and all(
        size in (None, own) for size, own in zip(shape[1:], array.shape[1:], strict=True)
    )


def _without_targets(data: Any, shapes: Mapping[str, _Shape]) -> Any:
    """The inputs of `x`, `(x, y)` or `(x, y, sample_weight)`."""
    if not isinstance(data, tuple | list):
        return data
    if len(data) in (2, 3):
        several = isinstance(data[0], Mapping | list | tuple)
        if len(shapes) > 1:
            return data[0] if several or len(data) != len(shapes) else data
        (shape,) = shapes.values()
        if (
            isinstance(data, tuple)
            or isinstance(data[0], Mapping)
            or _fits(_of_rank(np.asarray(data[0]), shape), shape)
        ):
            return data[0]
    return data


def _joined_inputs(data: Any, shapes: Mapping[str, _Shape]) -> Any:
    """Inputs of the elements of a data set: those that fit without a first axis are examples."""
    endless = "The data set has no end; pass a part of it, such as dataset.take(100)."
    if hasattr(data, "as_numpy_iterator"):
        if int(data.cardinality()) == -1:
            raise ValueError(endless)
        elements: Any = data.as_numpy_iterator()
    else:
        if data.num_batches is None:
            raise ValueError(endless)
        elements = (data[i] for i in range(data.num_batches))
    inputs = [element[0] if isinstance(element, tuple) else element for element in elements]
    if not inputs:
        raise ValueError("The data set is empty: at least one example is needed.")
    rows = [_parts(x, shapes) for x in inputs]
    joined = {}
    for key in rows[0]:
        arrays = [row[key] for row in rows]
        shape = shapes[key]
        single = all(_fits(_of_rank(array[None], shape), shape) for array in arrays)
        arrays = arrays if single else [_of_rank(array, shape) for array in arrays]
        if len({array.shape[not single :] for array in arrays}) != 1:
            raise ValueError(
                "The inputs in the data set have several shapes, such as "
                f"{arrays[0].shape} and {arrays[-1].shape}: pass a part whose shapes agree."
            )
        joined[key] = np.stack(arrays) if single else np.concatenate(arrays)
    return joined if isinstance(inputs[0], Mapping) else list(joined.values())


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


def check_data(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    name: str = "data",
    *,
    are_labels: bool = True,
) -> None:
    """Check that `(x, y)` can be fed to `model`.

    Args:
        model: What takes the inputs.
        x: Inputs.
        y: Targets.
        name: What to call the data in errors.
        are_labels: Whether whole numbers, one for each example, are numbers of its outputs.

    Raises:
        ValueError: If the model has several inputs or outputs, x or y are no numbers, the shape
            does not fit, x has NaN, or integer labels are out of range.
    """
    for what, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1 or names_them(model, what):
            which = f"names its {what}s" if names_them(model, what) else f"has several {what}s"
            raise ValueError(
                f"The {name} cannot be used with the model '{model.name}', which {which}: "
                f"{_ONE_ARRAY}"
            )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):
        raise ValueError(
            f"The {name} cannot be used with the model '{model.name}', which is stateful: what it "
            "gives depends on what it was given before. Build it with stateful=False."
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
    takes = model.inputs[0].dtype
    kinds = [(y, "targets", "float64")]
    if takes != "string":
        kinds.append((x, "inputs", "complex128" if takes.startswith("complex") else "float64"))
    for array, kind, widest in kinds:
        if not np.can_cast(array.dtype, widest, "same_kind"):
            raise ValueError(
                f"The {kind} of the {name} have dtype {array.dtype}; they must be real numbers: "
                "labels that are names need a number for each, inputs an encoding such as that of "
                "the training."
            )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(
            f"The inputs of the {name} hold NaN or infinite values: remove those examples."
        )
    num_outputs = model.output_shape[-1]
    if are_labels and y.dtype.kind in "iu" and is_label(y) and num_outputs and num_outputs > 1:
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= num_outputs:
            raise ValueError(
                f"The labels of the {name} go from {low} to {high}, the model '{model.name}' has "
                f"{num_outputs} outputs: labels must be integers from 0 to {num_outputs - 1}."
            )


def names_them(model: keras.Model, what: str) -> bool:
    """Whether each `"input"` or `"output"` of a model has a name, as in a mapping."""
    return isinstance(getattr(model, what, None), Mapping)


def is_label(y: np.ndarray) -> bool:
    """Whether `y` holds one number for each example."""
    return y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)


def _one_array(part: Any, kind: str, name: str) -> np.ndarray:
    """Inputs or targets as an array, or a ValueError where they are several or ragged."""
    if isinstance(part, Mapping):
        raise _several(kind, name)
    try:
        return _dense(part)
    except ValueError as error:  # rows of different lengths
        raise _several(kind, name) from error


def _several(kind: str, name: str) -> ValueError:
    return ValueError(f"The {kind} of the {name} are not one array: {_ONE_ARRAY}")


def _from_dataset(dataset: Any, name: str) -> XY:
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise TypeError(
            f"The {name} must be a tf.data.Dataset of pairs (x, y), without sample weights, "
            f"received {spec}."
        )
    for part, kind in zip(spec, ("inputs", "targets"), strict=False):
        if isinstance(part, tuple | list | Mapping):
            raise _several(kind, name)
    if int(dataset.cardinality()) == -1:
        raise ValueError(f"The {name} has no end; pass a part of it, such as dataset.take(100).")
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
