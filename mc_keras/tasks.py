"""What a model is for, as far as its graph and the targets tell: which loss, which accuracy."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mc_keras.units.graph import made_by


def infer_loss(model: keras.Model, y: np.ndarray) -> keras.losses.Loss:
    """The usual loss of a model that ends this way, for targets like `y`.

    Whole numbers, one for each example (or place, where the outputs are vectors at places), give
    sparse categorical cross-entropy, and binary cross-entropy where there is one output and they
    are 0 and 1. Targets of the shape of the outputs give categorical cross-entropy where rows are
    probabilities, and binary cross-entropy where they are 0 and 1 otherwise (several labels for
    each example). Everything else gives mean squared error: -1 and 1 too, and fractions, whatever
    the model ends in. Cross-entropies take logits unless it ends in softmax or sigmoid.

    Args:
        model: A built Keras model of one output.
        y: Targets: of the shape of the outputs, or that without the last axis, or with 1 there.

    Raises:
        ValueError: If they hold NaN, are of another shape, or one number each for several outputs
            that is no label of theirs.
    """
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("The targets hold NaN or infinite values: remove those examples.")
    loss = _usual_loss(model, y)
    if loss is None:
        raise ValueError(
            f"The targets have shape {y.shape[1:]} for each example and go from {y.min()} to "
            f"{y.max()}, the outputs of the model '{model.name}' have shape "
            f"{model.output_shape[1:]}: targets must be of that shape, or labels, which are whole "
            f"numbers from 0 to {num_outputs(model) - 1}, of that shape without its last axis."
        )
    return loss


def check_targets(model: keras.Model, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Check that the usual loss of the first split is one for the targets of all.

    Raises:
        ValueError: If that of the first is a cross-entropy of labels, which others are not, or the
            targets of a split allow of no loss.
    """
    usual = {}
    for name, (_, y) in splits.items():
        try:
            usual[name] = type(infer_loss(model, y)).__name__
        except ValueError as error:
            raise ValueError(f"In the split '{name}': {error}") from error
    (first, kind), *others = usual.items()
    for name, other in others:
        # A few real numbers may all be whole by chance: they do not make others labels.
        if kind not in (other, keras.losses.MeanSquaredError.__name__):
            raise ValueError(
                f"The targets of the split '{first}' ask for the loss {kind}, those of '{name}' "
                f"for {other}: give targets of one kind, or the loss to measure."
            )


def _usual_loss(model: keras.Model, y: np.ndarray) -> keras.losses.Loss | None:
    """See `infer_loss`; `None` where that raises an error."""
    places, targets = model.output_shape[1:-1], y.shape[1:]
    count = num_outputs(model)
    logits = not ends_in_probabilities(model)
    if _fits(targets, places) or (targets[-1:] == (1,) and _fits(targets[:-1], places)):
        if count == 1:
            return _loss_of_numbers(y, logits=logits)
        if _are_labels(y, count):
            return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        return None
    if not _fits(targets, model.output_shape[1:]):
        return None
    if (y >= 0).all() and np.allclose(y.sum(-1), 1, atol=1e-3):
        return keras.losses.CategoricalCrossentropy(from_logits=logits)
    return _loss_of_numbers(y, logits=logits)


def _loss_of_numbers(y: np.ndarray, *, logits: bool) -> keras.losses.Loss:
    """The loss of targets that stand for themselves, one for each output."""
    if _are_labels(y, 2):
        return keras.losses.BinaryCrossentropy(from_logits=logits)
    return keras.losses.MeanSquaredError()


def num_outputs(model: keras.Model) -> int:
    """Number of outputs for each example and place."""
    shape: tuple[int, ...] = model.output_shape
    return shape[-1] if len(shape) > 1 else 1


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        e in (None, s) for s, e in zip(shape, expected, strict=True)
    )


def _are_labels(y: np.ndarray, num_classes: int) -> bool:
    """Whether `y` holds whole numbers from 0 on, of any dtype."""
    whole = y.dtype.kind in "iub" or (y.dtype.kind == "f" and (y == np.floor(y)).all())
    return bool(whole and (y >= 0).all() and (y < num_classes).all())


def infer_accuracy(model: keras.Model, y: np.ndarray) -> keras.metrics.Metric | None:
    """The accuracy that goes with `infer_loss`, or `None` for a regression."""
    loss = _usual_loss(model, y)
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if isinstance(loss, keras.losses.CategoricalCrossentropy):
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    if isinstance(loss, keras.losses.BinaryCrossentropy):
        threshold = 0.5 if ends_in_probabilities(model) else 0.0
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
    return None


def ends_in_probabilities(model: keras.Model) -> bool:
    """Whether the outputs of a model come from a softmax or sigmoid, reshaped or averaged maybe."""
    outputs: Any = getattr(model, "outputs", None)
    return bool(outputs) and _is_probability(outputs[0])


# Names of layers and of operations of `keras.ops`: those that leave values as they are, or average
# them. Sums of probabilities are taken for averages, whatever they are divided by.
_KEEPING = (
    *("reshape", "flatten", "permute", "transpose", "squeeze", "expanddims", "getitem", "cast"),
    *("dropout", "identity", "activityregularization", "repeatvector"),
    *("concatenate", "stack", "average", "mean", "add", "divide", "truedivide", "multiply"),
    *("clip", "minimum", "maximum"),
)


def _is_probability(tensor: keras.KerasTensor) -> bool:
    layer: Any
    layer, given, output = made_by(tensor)
    while isinstance(layer, keras.layers.Wrapper):
        layer = layer.layer
    if isinstance(layer, keras.Model):
        outputs: Any = getattr(layer, "outputs", None)
        return bool(outputs) and _is_probability(outputs[output])
    kind = type(layer).__name__.lower()
    if kind in _KEEPING:
        return bool(given) and all(map(_is_probability, given))
    # `Softmax` and `Sigmoid` are classes of layers and of operations; activations may be functions
    # of any library.
    activation = getattr(layer, "activation", None)
    names = (kind, getattr(activation, "__name__", ""), type(activation).__name__)
    return not {"softmax", "softmax_v2", "sigmoid"}.isdisjoint(map(str.lower, names))
