import keras
import numpy as np
import pytest
import tensorflow as tf

from mc_keras.tasks import ends_in_probabilities, infer_accuracy, infer_loss

layers, losses, ops = keras.layers, keras.losses, keras.ops
LABELS = np.array([0, 2, 1])
ONE_HOT = np.eye(3, dtype="float32")
BINARY = np.array([0, 1, 1])


def sequential(*tail):
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, "sigmoid"), *tail])


def functional(ending):
    inputs = keras.Input((4,))
    return keras.Model(inputs, ending(layers.Dense(3)(inputs)))


def _tagger(x, layer):
    return layers.Flatten()(layers.TimeDistributed(layer)(layers.Reshape((1, 3))(x)))


MODELS = {
    "logits": (sequential(layers.Dense(3)), False),
    "activation": (sequential(layers.Dense(3, "softmax")), True),
    "Softmax layer": (sequential(layers.Dense(3), layers.Softmax()), True),
    "Activation layer": (sequential(layers.Dense(3), layers.Activation("softmax")), True),
    "nested": (sequential(keras.Sequential([layers.Dense(3, "softmax")])), True),
    "function of TensorFlow": (sequential(layers.Dense(3, tf.nn.softmax)), True),
    "operation": (functional(keras.ops.softmax), True),
    "activation's function": (functional(keras.activations.softmax), True),
    "functional logits": (functional(lambda x: layers.ReLU()(x)), False),
    "functional softmax": (functional(lambda x: layers.Softmax()(x)), True),
}


def experts(x):
    return layers.Average()([layers.Dense(3, "softmax")(x) for _ in range(2)])


MODELS |= {
    "wrapper": (functional(lambda x: _tagger(x, layers.Dense(3, "softmax"))), True),
    "wrapper of logits": (functional(lambda x: _tagger(x, layers.Dense(3))), False),
    "wrapped model": (
        functional(lambda x: _tagger(x, keras.Sequential([layers.Dense(3), layers.Softmax()]))),
        True,
    ),
    "reshaped": (functional(lambda x: layers.Reshape((3,))(keras.ops.softmax(x))), True),
    "reshaped logits": (functional(lambda x: layers.Reshape((3,))(x)), False),
    "mean of experts": (functional(experts), True),
    "mean of a stack": (
        functional(lambda x: ops.mean(ops.stack([ops.softmax(x), ops.softmax(2 * x)]), axis=0)),
        True,
    ),
    "mean by operators": (functional(lambda x: (ops.softmax(x) + ops.softmax(2 * x)) / 2), True),
    "clipped": (functional(lambda x: ops.clip(ops.softmax(x), 1e-7, 1.0)), True),
    "mean of logits": (functional(lambda x: layers.Average()([x, keras.ops.softmax(x)])), False),
}


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_recognised(name):
    model, expected = MODELS[name]
    model(np.zeros((1, 4)))
    assert ends_in_probabilities(model) == expected
    loss = infer_loss(model, LABELS)
    assert isinstance(loss, losses.SparseCategoricalCrossentropy)
    assert loss.from_logits != expected


@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "accuracy"),
    [
        (3, LABELS, losses.SparseCategoricalCrossentropy, "SparseCategoricalAccuracy"),
        (3, LABELS[:, None], losses.SparseCategoricalCrossentropy, "SparseCategoricalAccuracy"),
        (3, ONE_HOT, losses.CategoricalCrossentropy, "CategoricalAccuracy"),
        (1, BINARY, losses.BinaryCrossentropy, "BinaryAccuracy"),
        (1, BINARY * 0.3, losses.MeanSquaredError, "NoneType"),
        (2, np.ones((3, 2)) * 0.9, losses.MeanSquaredError, "NoneType"),
        (2, np.array([[2, -1], [-3, 4]]), losses.MeanSquaredError, "NoneType"),
        (2, np.array([[1, 1], [0, 1], [0, 0]]), losses.BinaryCrossentropy, "BinaryAccuracy"),
        (3, LABELS * 1.0, losses.SparseCategoricalCrossentropy, "SparseCategoricalAccuracy"),
        (1, BINARY * 1.0, losses.BinaryCrossentropy, "BinaryAccuracy"),
        (1, BINARY * 18, losses.MeanSquaredError, "NoneType"),
        (1, 2 * BINARY - 1, losses.MeanSquaredError, "NoneType"),
    ],
)
def test_loss_and_accuracy(outputs, targets, loss, accuracy):
    model = sequential(layers.Dense(outputs))
    assert type(infer_loss(model, targets)) is loss
    assert type(infer_accuracy(model, targets)).__name__ == accuracy


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_binary_accuracy_is_that_of_the_sign(activation):
    model = sequential(layers.Dense(1, activation))
    metric = infer_accuracy(model, BINARY)
    outputs = np.array([[-1.0], [0.2], [-0.1]])
    outputs = outputs if activation is None else 1 / (1 + np.exp(-outputs))
    assert float(metric(BINARY[:, None], outputs)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1)])
def test_labels_at_places(shape):
    model = keras.Sequential([keras.Input((4, 5)), layers.Dense(3)])
    labels = np.arange(8).reshape(shape) % 3
    assert isinstance(infer_loss(model, labels), losses.SparseCategoricalCrossentropy)
    assert infer_accuracy(model, labels).name == "accuracy"


@pytest.mark.parametrize("targets", [LABELS * 0.5, LABELS + 1.0, np.ones((3, 2)), LABELS - 1])
def test_targets_that_do_not_fit_the_outputs(targets):
    model = sequential(layers.Dense(3))
    with pytest.raises(ValueError, match="whole numbers from 0 to 2, of that shape without"):
        infer_loss(model, targets)
    assert infer_accuracy(model, targets) is None  # a loss of the user's may take them
