"""The compiled step: by XLA where that works, by TensorFlow alone where it does not."""

import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.evaluation import engine
from tests.networks import classification_data, dense_network


def not_for_xla(y, outputs):
    """A metric with an operation that XLA has no kernel for."""
    labels = tf.strings.to_number(tf.strings.as_string(y))
    return tf.cast(tf.equal(tf.argmax(outputs, -1), tf.cast(labels, "int64")), "float32")


@pytest.fixture
def report_of(monkeypatch):
    x, y = classification_data((5,), 70)
    path = mc.connect(dense_network(0), dense_network(1), "arc")

    def measure(*, fuse, **options):
        monkeypatch.setattr(engine, "_WORTH_FUSING", 0 if fuse else np.inf)
        return mc.evaluate_path(path, {"test": (x, y)}, 5, verbose=0, **options)

    return measure


def test_xla_changes_nothing_not_even_with_a_short_last_block(report_of):
    fused = report_of(fuse=True, batch_size=30)
    plain = report_of(fuse=False, batch_size=30)
    np.testing.assert_allclose(fused["test_loss"], plain["test_loss"], rtol=1e-6)
    np.testing.assert_array_equal(fused["test_accuracy"], plain["test_accuracy"])


def test_a_metric_that_xla_cannot_compile_is_measured_without_it(report_of):
    report = report_of(fuse=True, metrics=["accuracy", not_for_xla])
    np.testing.assert_allclose(report["test_not_for_xla"], report["test_accuracy"], rtol=1e-6)


@pytest.mark.parametrize("fuse", [False, True])
def test_splits_may_differ_in_their_dtypes(monkeypatch, fuse):
    monkeypatch.setattr(engine, "_WORTH_FUSING", 0 if fuse else np.inf)
    x, y = classification_data((5,), 70)
    path = mc.connect(dense_network(0), dense_network(1), "arc")
    splits = {"one": (x, y), "other": (x.astype("float64"), y[:, None].astype("int8"))}
    report = mc.evaluate_path(path, splits, 5, verbose=0)
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(report[f"other_{name}"], report[f"one_{name}"], rtol=1e-6)
