"""The whole way on networks that nobody wrote for this library."""

import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.connectors import CurveFitting
from mc_keras.tasks import infer_loss
from tests.contracts.models import MODELS

SLOW = [pytest.param(method, marks=pytest.mark.slow) for method in ("linear", "slerp")]


@pytest.mark.parametrize("method", ["arc", CurveFitting(epochs=1), *SLOW])
@pytest.mark.parametrize("name", MODELS)
def test_connect_and_evaluate(name, method):
    (a, x, y), (b, _, _) = (MODELS[name](np.random.default_rng(0)) for _ in range(2))
    path = mc.connect(a, b, method, data=(x, y))
    report = mc.evaluate_path(path, {"train": (x, y)}, num_points=3, verbose=0)
    for t, found in zip(report.t, report["train_loss"], strict=True):
        plain = path.model(t, batch_norm_data=x)
        plain.compile(loss=infer_loss(plain, y))
        expected = plain.evaluate(x, y, verbose=0, batch_size=len(x))
        tolerance = 2e-2 if name == "mixed precision" else 1e-4
        np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_the_ends_are_the_networks(name):
    generator = np.random.default_rng(0)
    (a, x, y), (b, _, _) = (MODELS[name](generator) for _ in range(2))
    path = mc.connect(a, b, "linear")
    splits = {"test": (x, y)}
    report = mc.evaluate_path(path, splits, 2, batch_norm="interpolate", verbose=0)
    for t, model in ((0.0, a), (1.0, b)):
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(path.model(t).predict(x, verbose=0), expected, rtol=1e-6)
        model.compile(loss=infer_loss(model, y))
        found = report["test_loss"][int(t)]
        tolerance = 2e-2 if name == "mixed precision" else 1e-5
        np.testing.assert_allclose(found, model.evaluate(x, y, verbose=0), rtol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_save_load_and_export(name, tmp_path):
    (a, x, _), (b, _, _) = (MODELS[name](np.random.default_rng(0)) for _ in range(2))
    path = mc.connect(a, b, "arc")
    path.save(tmp_path / "a.path")
    again = mc.load_path(tmp_path / "a.path")
    for v, w in zip(path(0.3), again(0.3), strict=True):
        np.testing.assert_array_equal(v, w)
    expected = path.model(0.3).predict(x, verbose=0)
    served = tf.saved_model.load(mc.export_path(again, tmp_path / "path", batch_norm="interpolate"))
    found = served.serve(tf.constant(x, a.inputs[0].dtype), tf.constant(0.3))
    tolerance = 2e-2 if name == "mixed precision" else 1e-5
    np.testing.assert_allclose(found, expected, atol=tolerance)
