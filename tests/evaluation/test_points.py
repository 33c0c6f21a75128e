"""`evaluate_path`: positions, lengths, values that are not finite, bad input."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.paths import AffinePath, Bezier
from tests.networks import batch_norm_network, classification_data, dense_network


@pytest.fixture(scope="module")
def path():
    return mc.connect(dense_network(0), dense_network(1), "linear")


@pytest.fixture(scope="module")
def split():
    return classification_data((5,), 40)


def test_ends_and_knots_are_among_the_positions(path, split):
    back = mc.connect(dense_network(1), dense_network(0), "linear")
    there_and_back = mc.concatenate([path, back], [0.0, 1 / 3, 1.0])
    report = mc.evaluate_path(there_and_back, {"test": split}, positions=[0.5], verbose=0)
    np.testing.assert_array_equal(report.t, [0, 1 / 3, 0.5, 1])
    grid = mc.evaluate_path(there_and_back, {"test": split}, 4, verbose=0)
    np.testing.assert_array_equal(grid.t, [0, 1 / 3, 2 / 3, 1])
    assert report["test_loss"][0] == pytest.approx(report["test_loss"][-1], rel=1e-6)


def test_length_and_chord(path, split):
    report = mc.evaluate_path(path, {"test": split}, 5, verbose=0)
    expected = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(path(0.0), path(1.0), strict=True)))
    assert report.chord == pytest.approx(expected, rel=1e-6)
    assert report.length == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(report.steps, expected / 4, rtol=1e-6)


def test_a_loss_that_is_nan_at_some_position_is_a_result(path, split, tmp_path):
    bend = [np.full_like(array, np.nan) for array in path(0.5)]
    states = path.state(0.0), path.state(1.0)
    curve = AffinePath(path.space, [path(0.0), bend, path(1.0)], Bezier(3), states=states)
    report = mc.evaluate_path(curve, {"test": split}, 3, verbose=0)
    straight = mc.evaluate_path(path, {"test": split}, 3, verbose=0)
    loss = report["test_loss"]
    assert np.isnan(loss[1])
    np.testing.assert_allclose(loss[[0, 2]], straight["test_loss"][[0, 2]], rtol=1e-6)
    report.save(tmp_path / "report.json")
    record = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert record["values"]["test_loss"][1] == "NaN"


def test_an_infinite_loss_is_a_result(split):
    def network(scale):
        model = dense_network(0, activation="linear")
        model.set_weights([w * np.float32(scale) for w in model.get_weights()])
        return model

    path = mc.connect(network(1), network(1e19), "linear")
    report = mc.evaluate_path(path, {"test": split}, 3, verbose=0)
    assert np.isfinite(report["test_loss"][0])
    assert not np.isfinite(report["test_loss"][2])


def test_metadata_tell_what_was_measured(path, split):
    report = mc.evaluate_path(path, {"val": split}, 3, verbose=0)
    evaluation = report.metadata["evaluation"]
    assert evaluation["positions"] == [0, 0.5, 1]
    assert [m["name"] for m in evaluation["measures"]["metrics"]] == ["accuracy"]
    assert report.metadata["examples"] == {"val": 40}
    assert report.metadata["provenance"]["connector"]["class"] == "Linear"
    json.dumps(report.metadata, allow_nan=False)


def test_interpolated_batch_norm_needs_no_training_split():
    x, y = classification_data((6, 6, 2), 30)
    path = mc.connect(batch_norm_network(0), batch_norm_network(1), "linear")
    report = mc.evaluate_path(path, {"test": (x, y)}, 3, batch_norm="interpolate", verbose=0)
    model = path.model(0.5)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, model(x))
    assert report["test_loss"][1] == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="a split named 'train', received \\['test'\\]"):
        mc.evaluate_path(path, {"test": (x, y)}, 3, verbose=0)


def test_batch_norm_is_measured_the_same_whatever_the_other_splits_are():
    x, y = classification_data((6, 6, 2), 1300)
    path = mc.connect(batch_norm_network(0), batch_norm_network(1), "linear")
    alone, beside = (
        mc.evaluate_path(path, {"train": (x, y), **others}, 3, verbose=0)
        for others in ({}, {"test": (x[:700], y[:700])})
    )
    np.testing.assert_array_equal(alone["train_loss"], beside["train_loss"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "arc"}, "Expected a path as mc.connect returns it, received str"),
        ({"num_points": 1}, "an integer of at least 2, received 1"),
        ({"num_points": 2.5}, "an integer of at least 2, received 2.5"),
        ({"positions": [0.5, 1.5]}, "received t=1.5"),
        ({"positions": [float("nan")]}, "received t=nan"),
        ({"batch_size": 0}, "an integer of at least 1, or None, received 0"),
        ({"batch_size": 2.5}, "an integer of at least 1, or None, received 2.5"),
        ({"batch_norm": "none"}, "'reestimate' or 'interpolate'"),
        ({"data": {"test": (np.zeros((4, 6)), np.zeros(4, "int64"))}}, "split 'test'"),
        ({"data": {"test": (np.zeros((4, 5)), np.full(4, 3))}}, "from 3 to 3"),
        ({"data": {"test": (np.zeros((0, 5)), np.zeros(0, "int64"))}}, "empty"),
        (
            {"data": {"a": (np.zeros((3, 5)), np.eye(3)), "b": (np.zeros((1, 5)), np.zeros(1))}},
            r"of one kind, received the shapes \(3,\) in 'a', \(\) in 'b'",
        ),
        (
            {"data": {"a": (np.zeros((3, 5)), np.arange(3)), "b": (np.zeros((2, 5)), [0.0, 0.5])}},
            "In the split 'b': The targets have shape .* labels, which are whole",
        ),
        (
            {
                "data": {
                    "a": (np.zeros((3, 5)), np.eye(3)),
                    "b": (np.zeros((2, 5)), np.ones((2, 3))),
                }
            },
            "'a' ask for the loss CategoricalCrossentropy, those of 'b' for BinaryCrossentropy",
        ),
        ({"data": {"a": (np.zeros((2, 5)), np.array([1, np.nan]))}}, "'a': The targets hold NaN"),
        ({"loss": 3}, "a Keras loss, its name or a function, received 3"),
        ({"loss": "mes"}, "Keras has no loss 'mes'"),
        ({"metrics": ["Acuracy"]}, "Did you mean 'Accuracy'"),
        ({"metrics": [3]}, "a Keras metric, its name or a function, received 3"),
        ({"metrics": ["accuracy", "accuracy"]}, "a name of its own"),
        ({"loss": "categorical_crossentropy"}, "cannot be computed for outputs of shape"),
    ],
)
def test_bad_arguments(path, split, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mc.evaluate_path(**{"path": path, "data": {"test": split}, "verbose": 0} | arguments)


def test_a_loss_of_your_own_takes_whole_numbers_that_are_no_labels():
    model = dense_network(outputs=2)
    x, _ = classification_data((5,), 30)
    counts = np.random.default_rng(0).poisson(5, 30)

    def loss(y, outputs):
        return (keras.ops.cast(y, "float32") - outputs[:, 0]) ** 2 + outputs[:, 1] ** 2

    report = mc.evaluate_path(
        mc.connect(model, model), {"test": (x, counts)}, 2, loss=loss, metrics=[], verbose=0
    )
    outputs = np.asarray(model(x))
    expected = np.mean((counts - outputs[:, 0]) ** 2 + outputs[:, 1] ** 2)
    np.testing.assert_allclose(report["test_loss"], expected, rtol=1e-5)
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    labels = counts % 3 - 1
    report = mc.evaluate_path(
        mc.connect(model, model), {"test": (x, labels)}, 2, loss=ignoring, metrics=[], verbose=0
    )
    np.testing.assert_allclose(report["test_loss"], ignoring(labels, model(x)), rtol=1e-5)
    for given in (None, "sparse_categorical_crossentropy"):
        with pytest.raises(ValueError, match="labels of the split 'test' go from -1 to 1"):
            mc.evaluate_path(mc.connect(model, model), {"test": (x, labels)}, 2, loss=given)


def test_two_values_of_one_name_are_refused(path, split):
    metric = keras.metrics.SparseCategoricalCrossentropy(name="x_loss", from_logits=True)
    with pytest.raises(ValueError, match="would be called 'te_x_loss'.*rename a split"):
        mc.evaluate_path(path, {"te": split, "te_x": split}, 2, metrics=[metric])


@pytest.mark.parametrize("method", ["linear", "arc"])
def test_networks_in_double_precision_are_measured_in_it(method):
    def build(seed):
        keras.utils.set_random_seed(seed)
        layers = (
            keras.layers.Dense(8, "tanh", dtype="float64"),
            keras.layers.Dense(2, dtype="float64"),
        )
        return keras.Sequential([keras.Input((4,), dtype="float64"), *layers])

    path = mc.connect(build(0), build(1), method)
    x = np.random.default_rng(0).normal(size=(50, 4))
    y = np.asarray(path.model(0.5)(x))
    loss = keras.losses.MeanSquaredError(dtype="float64")
    report = mc.evaluate_path(path, {"test": (x, y)}, 3, loss=loss, metrics=[], verbose=0)
    assert report["test_loss"][1] < 1e-25
    assert report["test_loss"].min() >= 0.0


def test_paths_measured_one_after_the_other_bring_no_warnings(caplog):
    """TensorFlow warns of a function traced again and again; each network has its own."""
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        path = mc.connect(batch_norm_network(0), batch_norm_network(1), "linear")
        split = classification_data(path.space.model.input_shape[1:], 40)
        for _ in range(6):
            mc.evaluate_path(path, {"train": split}, 3, verbose=0)
            path.model(0.5, batch_norm_data=split[0])
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
