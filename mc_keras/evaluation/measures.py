"""Loss and metrics at many points, accumulated batch by batch inside compiled functions."""

import difflib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mc_keras.tasks import ends_in_probabilities, infer_accuracy, infer_loss

_FEW = 8  # examples that tell functions apart
_HIGHER_IS_BETTER = ("acc", "accuracy", "auc", "f1", "precision", "recall", "score")
_HIGHER_IS_BETTER_TOO = (keras.metrics.TruePositives, keras.metrics.TrueNegatives)


class Measures:
    """The loss and any Keras metrics, as functions of an accumulator.

    The loss is the mean over the examples (over the elements not masked, where there are several
    for each example), without regularisation terms, summed in float64.

    Args:
        model: Model of the architecture; its outputs must be one tensor.
        x: Some inputs, at least one.
        y: All targets of one split.
        loss: Keras loss, its name, a function `loss(y, outputs)`, or `None` for the one that fits
            the model and the targets. By name, a cross-entropy takes logits unless the model ends
            in softmax or sigmoid; an object does what its `from_logits` says.
        metrics: Keras metrics, their names (as for `loss`) or functions. `"accuracy"` is the
            accuracy that fits the targets; a regression has none. The metrics' own variables are
            reset, no more.

    Attributes:
        names: `("loss", ...)`: what is measured, in the order of the results.

    Raises:
        ValueError: If a loss or metric does not exist, does not fit the outputs, is not one number,
            or a name is there twice.
    """

    def __init__(
        self,
        model: keras.Model,
        x: np.ndarray,
        y: np.ndarray,
        loss: Any = None,
        metrics: Sequence[Any] = ("accuracy",),
    ):
        self._loss = _loss(infer_loss(model, y) if loss is None else loss, model)
        self._metrics = [m for item in metrics if (m := _metric(item, model, y)) is not None]
        self.names = ("loss", *(metric.name for metric in self._metrics))
        if len(set(self.names)) < len(self.names):
            raise ValueError(
                f"Every metric needs a name of its own, received {', '.join(self.names)}: pass "
                "metric objects with different names."
            )
        self._try(model, x, y)
        self._few = y[:_FEW]

    def _try(self, model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
        """A few examples through everything: some metrics make their variables on first use."""
        self._output_shape = tuple(model(x[:1], training=False).shape[1:])
        # As many that targets of another shape, `(n,)` for outputs `(n, 10)`, cannot be broadcast.
        count = next(n for n in itertools.count(2) if n not in self._output_shape)
        few = np.arange(count) % len(x)
        x, y = x[few], y[few]
        outputs = model(x, training=False)
        measured: list[tuple[Any, Callable[..., Any]]] = [(self._loss, _total)]
        for item, compute in [*measured, *((m, _scalar) for m in self._metrics)]:
            try:
                compute(item, y, outputs)
            except Exception as error:
                raise ValueError(
                    f"'{item.name}' cannot be computed for outputs of shape {self._output_shape} "
                    f"and targets of shape {y.shape[1:]} for each example: "
                    f"{self._reason(item, y, error)}"
                ) from error

    def _reason(self, item: Any, y: np.ndarray, error: Exception) -> str:
        """What is the matter with an item: other shapes, or what it says itself."""
        of_its_own = not (_is_of_keras(item) or isinstance(error, tf.errors.InvalidArgumentError))
        if of_its_own or "sparse" in item.name or y.shape[1:] == self._output_shape:
            return str(error).splitlines()[0]
        what = "loss" if item is self._loss else "metric"
        return f"give targets of shape {self._output_shape}, or leave out this {what}."

    def directions(self, splits: Iterable[str]) -> dict[str, bool]:
        """`"<split>_<name>"` to whether small values are the good ones."""
        lower = [True, *(_lower(metric) for metric in self._metrics)]
        return {f"{s}_{n}": low for s in splits for n, low in zip(self.names, lower, strict=True)}

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able description of the loss and the metrics.

        What Keras cannot write down, such as functions, is told by its value on a few outputs.
        """
        generator = np.random.default_rng(0)
        outputs = generator.uniform(0.1, 0.9, (len(self._few), *self._output_shape))
        outputs = tf.constant(outputs / outputs.sum(-1, keepdims=True), "float32")

        def described(item: Any, compute: Callable[..., float]) -> dict[str, Any]:
            description = _described(item)
            if not _is_of_keras(item):
                description["value"] = _text(lambda: compute(item, self._few, outputs))
            return description

        loss = described(self._loss, _mean)
        # Keras numbers them: `auc_1`. That of the loss is told nowhere.
        del loss["name"]
        loss["config"].pop("name", None)
        return {
            "loss": loss,
            "metrics": [described(metric, _scalar) for metric in self._metrics],
        }

    def initial(self, num_points: int) -> list[np.ndarray]:
        """Empty accumulators of some points, each of shape `(num_points, ...)`."""
        arrays = [np.zeros(num_points), np.zeros(num_points)]
        for metric in self._metrics:
            for variable in metric.variables:
                value = keras.ops.convert_to_numpy(variable)
                arrays.append(np.repeat(value[None], num_points, axis=0))
        return arrays

    def update(self, accumulators: Sequence[Any], y: Any, outputs: Any) -> list[Any]:
        """The accumulators of one point after a batch, in tensors."""
        total, count = _total(self._loss, y, outputs)
        updated = [accumulators[0] + total, accumulators[1] + count]
        position = 2
        for metric in self._metrics:
            after = position + len(metric.variables)
            updated += metric.stateless_update_state(accumulators[position:after], y, outputs)
            position = after
        return updated

    def results(self, accumulators: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values of each name at each point, float64, from full accumulators."""
        with np.errstate(invalid="ignore", divide="ignore"):
            columns = [accumulators[0] / accumulators[1]]
        position = 2
        for metric in self._metrics:
            after = position + len(metric.variables)
            rows = zip(*accumulators[position:after], strict=True)
            values = [metric.stateless_result([tf.constant(v) for v in row]) for row in rows]
            columns.append(np.array([float(value) for value in values]))
            position = after
        return columns


def _loss(loss: Any, model: keras.Model) -> keras.losses.Loss:
    if isinstance(loss, str):
        loss = _by_name(loss, "loss", model)
    if isinstance(loss, type) and issubclass(loss, keras.losses.Loss):
        loss = loss()
    if isinstance(loss, keras.losses.Loss):
        return loss
    if not callable(loss):
        raise TypeError(
            f"The loss must be a Keras loss, its name or a function, received {loss!r:.80}."
        )
    return _FunctionLoss(loss)


def _total(loss: keras.losses.Loss, y: Any, outputs: Any) -> tuple[Any, Any]:
    """Sum of the loss over the elements that are not masked, and their number, float64.

    What `keras.losses.Loss.__call__` does before it reduces the values. The loss may mask elements
    as well as the outputs, and where it returns one number that is the mean of the batch.
    """
    masks = [getattr(outputs, "_keras_mask", None)]
    values = loss.call(*(keras.ops.convert_to_tensor(a, dtype=loss.dtype) for a in (y, outputs)))
    masks.append(getattr(values, "_keras_mask", None))
    values = tf.cast(values, "float64")
    if values.shape.rank == 0:
        count = tf.cast(tf.shape(outputs)[0], "float64")
        return values * count, count
    kept = [tf.cast(mask, "bool") for mask in masks if mask is not None]
    if not kept:
        return tf.reduce_sum(values), tf.cast(tf.size(values), "float64")
    both = functools.reduce(tf.logical_and, kept, tf.ones_like(values, "bool"))
    return tf.reduce_sum(tf.where(both, values, 0.0)), tf.reduce_sum(tf.cast(both, "float64"))


def _mean(loss: keras.losses.Loss, y: np.ndarray, outputs: Any) -> float:
    total, count = _total(loss, y, outputs)
    return float(total / count)


class _FunctionLoss(keras.losses.Loss):
    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self._function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._function(*_of_same_rank(y_true, y_pred))


def _of_same_rank(y: Any, outputs: Any) -> tuple[Any, Any]:
    """Targets and outputs as Keras gives them to a loss: a last axis of 1 in both, or in none.

    With it in one of them, functions would broadcast each target against all outputs.
    """
    y, outputs = keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(outputs)
    ranks = len(y.shape), len(outputs.shape)
    if ranks[0] == ranks[1] + 1 and y.shape[-1] == 1:
        y = keras.ops.squeeze(y, -1)
    elif ranks[1] == ranks[0] + 1 and outputs.shape[-1] == 1:
        y = keras.ops.expand_dims(y, -1)
    return y, outputs


def _of_each_example(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A metric's function, whose one number for a batch counts for each example of it."""

    @functools.wraps(function)
    def values(y: Any, outputs: Any) -> Any:
        y, outputs = keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(outputs)
        if keras.backend.is_float_dtype(y.dtype):  # as Keras feeds numbers
            y = keras.ops.cast(y, outputs.dtype)
        found = keras.ops.convert_to_tensor(function(*_of_same_rank(y, outputs)))
        if len(found.shape):
            return found
        return keras.ops.broadcast_to(found, keras.ops.shape(outputs)[:1])

    return values


def _metric(item: Any, model: keras.Model, y: np.ndarray) -> keras.metrics.Metric | None:
    if isinstance(item, str) and item in ("accuracy", "acc"):
        return infer_accuracy(model, y)
    name = item if isinstance(item, str) else getattr(item, "__name__", None)
    if isinstance(item, str):
        item = _by_name(item, "metric", model)
    if isinstance(item, type) and issubclass(item, keras.metrics.Metric):
        item = item()
    if isinstance(item, keras.metrics.Metric):
        item.reset_state()
        return item
    if not callable(item):
        raise TypeError(
            f"A metric must be a Keras metric, its name or a function, received {item!r:.80}."
        )
    return keras.metrics.MeanMetricWrapper(_of_each_example(item), name=name)


def _by_name(name: str, what: str, model: keras.Model) -> Any:
    there = keras.losses if what == "loss" else keras.metrics
    try:
        item = there.get(name)
    except ValueError as error:
        close = difflib.get_close_matches(name, dir(there), n=1, cutoff=0.5)
        hint = (
            f"Did you mean '{close[0]}'?" if close else f"See {there.__name__} for those there are."
        )
        raise ValueError(f"Keras has no {what} '{name}'. {hint}") from error
    # Left alone, the cross-entropies would take logits for probabilities, without an error.
    words = getattr(item, "__name__", type(item).__name__).split("_")
    kind = getattr(there, "".join(word[:1].upper() + word[1:] for word in words), None)
    if kind is None or "from_logits" not in inspect.signature(kind).parameters:
        return item
    return kind(from_logits=not ends_in_probabilities(model))


def _scalar(metric: keras.metrics.Metric, y: np.ndarray, outputs: Any) -> float:
    metric.update_state(y, outputs)
    value = np.asarray(metric.result())
    metric.reset_state()
    if value.shape != ():
        raise ValueError(f"it is not one number but has shape {value.shape}; choose an average.")
    return float(value)


def _lower(metric: keras.metrics.Metric) -> bool:
    direction = getattr(metric, "_direction", None)
    if direction is None:
        higher = isinstance(metric, _HIGHER_IS_BETTER_TOO)
        return not (higher or metric.name.lower().endswith(_HIGHER_IS_BETTER))
    return direction == "down"


def _described(item: Any) -> dict[str, Any]:
    try:
        config = keras.saving.serialize_keras_object(item)["config"]
    except Exception:  # a function or class that Keras cannot write down
        config = {}
    kind = item.name if isinstance(item, _FunctionLoss) else type(item).__name__
    return {"class": kind, "name": item.name, "config": config}


def _is_of_keras(item: Any) -> bool:
    """Whether a loss or metric is a class of Keras, which its configuration tells everything of."""
    kind = type(item)
    return kind.__module__.startswith("keras.") and kind is not keras.metrics.MeanMetricWrapper


def _text(compute: Callable[[], Any]) -> str:
    """A number in few digits, as its last ones may differ between machines."""
    try:
        return f"{float(compute()):.4g}"
    except Exception as error:  # targets that it does not take with such outputs
        return type(error).__name__
