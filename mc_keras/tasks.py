"""What a model is for, as far as its graph and the targets tell: which loss, which accuracy."""

from typing import Any

import keras
import numpy as np

from mc_keras.data import is_label


def infer_loss(model: keras.Model, y: np.ndarray) -> keras.losses.Loss:
    """The usual loss of a model that ends this way, for targets like `y`.

    Integer labels give sparse categorical cross-entropy (binary where there is one output), rows
    that sum to one categorical cross-entropy, everything else mean squared error. Cross-entropies
    take logits unless the model ends in softmax or sigmoid.

    Args:
        model: A built Keras model.
        y: Targets, shape `(N,)`, `(N, 1)` or `(N, num_outputs)`.
    """
    num_outputs = model.output_shape[-1]
    logits = not ends_in_probabilities(model)
    if is_label(y) and y.dtype.kind in "iub":
        if num_outputs == 1:
            return keras.losses.BinaryCrossentropy(from_logits=logits)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    if not is_label(y) and y.shape[-1] == num_outputs and np.allclose(y.sum(-1), 1, atol=1e-3):
        return keras.losses.CategoricalCrossentropy(from_logits=logits)
    return keras.losses.MeanSquaredError()


def infer_accuracy(model: keras.Model, y: np.ndarray) -> keras.metrics.Metric | None:
    """The accuracy that goes with `infer_loss`, or `None` for a regression."""
    loss = infer_loss(model, y)
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if isinstance(loss, keras.losses.CategoricalCrossentropy):
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    if isinstance(loss, keras.losses.BinaryCrossentropy):
        threshold = 0.5 if ends_in_probabilities(model) else 0.0
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
    return None


def ends_in_probabilities(model: keras.Model) -> bool:
    """Whether the last layer of a model is, or ends in, a softmax or sigmoid."""
    layer: Any = model
    while isinstance(layer, keras.Model):
        if isinstance(layer, keras.Sequential):
            layer = layer.layers[-1]
        elif getattr(layer, "output_names", None):
            operations = {operation.name: operation for operation in layer.operations}
            layer = operations.get(layer.output_names[0])
        else:
            return False
    if isinstance(layer, keras.layers.Softmax):
        return True
    activation = getattr(layer, "activation", None)
    return activation in (keras.activations.softmax, keras.activations.sigmoid)
