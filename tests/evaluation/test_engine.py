"""The engine against the plain loop: the model of each position, and Keras's own `evaluate`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.batch_norm import has_batch_norm
from mc_keras.cloning import clone
from mc_keras.evaluation import groups, sweep
from mc_keras.tasks import infer_accuracy, infer_loss
from tests.contracts.architectures import ARCHITECTURES
from tests.contracts.paths import PATHS
from tests.networks import classification_data


def compiled(model, y):
    model.compile(loss=infer_loss(model, y), metrics=[infer_accuracy(model, y)])
    return model


def check(path, splits, model=None, **options):
    """Compare with `path.model` and `model.evaluate` at some positions."""
    x, y = splits["train"]
    model = model or compiled(path.model(0.0), y)
    report = mc.evaluate_path(path, splits, verbose=0, **options)
    assert report.names == ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    for i in (0, len(report.t) // 3, len(report.t) // 2, len(report.t) - 1):
        point = path.model(report.t[i], x if has_batch_norm(model) else None)
        model.set_weights(point.get_weights())
        for name, split in splits.items():
            loss, accuracy = model.evaluate(*split, verbose=0)
            assert report[f"{name}_loss"][i] == pytest.approx(loss, rel=1e-5)
            assert report[f"{name}_accuracy"][i] == pytest.approx(accuracy, abs=1e-7)


def splits_for(model, examples=90):
    x, y = classification_data(model.input_shape[1:], examples)
    if model.inputs[0].dtype == "int32":
        x = (x > 0).astype("int32")
    if model.inputs[0].dtype == "uint8":
        x = np.clip(40 * x + 128, 0, 255).astype("uint8")
    return {"train": (x, y), "test": (x[:37], y[:37])}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_the_plain_loop_on_every_architecture(name):
    start, end = ARCHITECTURES[name](0), ARCHITECTURES[name](1)
    method = "linear" if name in ("nested", "applied twice", "masked", "undivided") else "arc"
    num_points = 61 if name == "applied twice" else 5
    check(mc.connect(start, end, method), splits_for(start), num_points=num_points)


@pytest.fixture(scope="module")
def compiled_dense(dense_pair):
    return compiled(clone(dense_pair[0]), dense_pair[2][1])


@pytest.mark.parametrize("name", PATHS)
def test_equals_the_plain_loop_on_every_path(name, dense_pair, compiled_dense):
    start, end, (x, y) = dense_pair
    splits = {"train": (x, y), "test": (x[:50], y[:50])}
    check(PATHS[name](start, end), splits, compiled_dense, num_points=5)


@pytest.mark.parametrize("name", ["arc", "concatenation"])
def test_equals_the_plain_loop_in_small_groups_and_blocks(name, batch_norm_pair, monkeypatch):
    monkeypatch.setattr(groups, "_GROUP_BYTES", 4 * 1000)
    monkeypatch.setattr(groups, "_APART_BYTES", 4 * 1000)
    start, end, (x, y) = batch_norm_pair
    path = PATHS[name](start, end)
    splits = {"train": (x, y), "test": (x[:50], y[:50])}
    whole = mc.evaluate_path(path, splits, 5, batch_norm="interpolate", verbose=0)
    parts = mc.evaluate_path(path, splits, 5, batch_norm="interpolate", batch_size=48, verbose=0)
    for quantity in whole.names:
        np.testing.assert_allclose(parts[quantity], whole[quantity], rtol=1e-6)


def test_a_large_network_is_compiled_by_xla_with_equal_results(
    dense_pair, compiled_dense, monkeypatch
):
    monkeypatch.setattr("mc_keras.evaluation.engine._WORTH_FUSING", 0)
    start, end, (x, y) = dense_pair
    splits = {"train": (x, y), "test": (x[:50], y[:50])}
    check(mc.connect(start, end, "arc"), splits, compiled_dense, num_points=5)


def test_nothing_is_traced_again_from_point_to_point(deep_pair, monkeypatch):
    monkeypatch.setattr(groups, "_GROUP_BYTES", 4 * 300)
    monkeypatch.setattr(groups, "_APART_BYTES", 4 * 300)
    traced = []
    original = sweep.Sweep._loop

    def counting(self, weights, accumulators, features, y):
        traced.append(features[0].shape)
        return original(self, weights, accumulators, features, y)

    monkeypatch.setattr(sweep.Sweep, "_loop", counting)
    start, end, (x, y) = deep_pair
    path = mc.connect(start, end, "linear")
    splits = {"train": (x, y), "test": (x[:50], y[:50])}
    mc.evaluate_path(path, splits, 41, batch_size=48, verbose=0)
    assert len(traced) <= 2


def test_several_metrics(dense_pair):
    start, end, (x, y) = dense_pair
    metrics = [
        "accuracy",
        keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2"),
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="nll"),
    ]
    path = mc.connect(start, end, "linear")
    report = mc.evaluate_path(path, {"val": (x, y)}, 3, metrics=metrics, batch_size=50, verbose=0)
    logits = path.model(0.5).predict(x, verbose=0)
    top2 = np.argsort(logits)[:, -2:]
    assert report.names == ("val_loss", "val_accuracy", "val_top2", "val_nll")
    assert report["val_accuracy"][1] == pytest.approx((logits.argmax(1) == y).mean())
    assert report["val_top2"][1] == pytest.approx((top2 == y[:, None]).any(1).mean())
    np.testing.assert_allclose(report["val_nll"], report["val_loss"], rtol=1e-6)


def test_a_regression_by_a_loss_of_its_own():
    def network(seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])

    x, _ = classification_data((5,))
    y = x[:, :2] ** 2
    path = mc.connect(network(0), network(1), "linear")
    report = mc.evaluate_path(path, {"train": (x, y)}, 3, loss="mae", verbose=0)
    errors = np.abs(path.model(0.5).predict(x, verbose=0) - y)
    assert report.names == ("train_loss",)
    assert report["train_loss"][1] == pytest.approx(errors.mean(), rel=1e-6)


def test_a_dataset_is_a_split(dense_pair):
    start, end, (x, y) = dense_pair
    path = mc.connect(start, end, "linear")
    data = {"train": tf.data.Dataset.from_tensor_slices((x, y)).batch(33)}
    found = mc.evaluate_path(path, data, 3, verbose=0)
    expected = mc.evaluate_path(path, {"train": (x, y)}, 3, verbose=0)
    np.testing.assert_array_equal(found["train_loss"], expected["train_loss"])
