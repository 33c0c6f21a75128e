import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.layers import CurveLayer
from tests.adjustment.networks import pair
from tests.contracts.paths import PATHS

SLOW = ["linear", "bezier", "concatenation at given knots", "optimal transport"]


@pytest.fixture(params=["arc", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def path(request, batch_norm_pair):
    return PATHS[request.param](*batch_norm_pair[:2])


def test_points_and_path_serve_what_the_models_compute(path, batch_norm_pair, tmp_path):
    x = batch_norm_pair[2][0]
    positions = (0.0, 0.05, 0.4, 1.0)
    folders = mc.export_points(path, tmp_path, positions, batch_norm_data=x)
    assert [folder.name for folder in folders] == ["t_0.000", "t_0.050", "t_0.400", "t_1.000"]
    mc.export_path(path, tmp_path / "path", batch_norm_data=x)
    whole = tf.saved_model.load(tmp_path / "path")
    for t, folder in zip(positions, folders, strict=True):
        expected = path.model(t, x if 0 < t < 1 else None).predict(x[:5], verbose=0)
        point = tf.saved_model.load(folder)
        np.testing.assert_allclose(point.serve(x[:5]), expected, atol=1e-5)
        served = whole.serve(x[:5], tf.constant(t, "float32"))
        np.testing.assert_allclose(served, expected, atol=1e-4)
    assert sorted(os.listdir(tmp_path)) == ["path", "t_0.000", "t_0.050", "t_0.400", "t_1.000"]


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_networks_of_another_precision_are_served(dtype, tmp_path):
    def build():
        dense = keras.layers.Dense(3, dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)
        return keras.Sequential([keras.Input((4,)), *dense])

    a, b, x = pair(build)
    path = mc.connect(a, b, "arc")
    for mode, data in (("interpolate", None), ("reestimate", x)):
        folder = mc.export_path(path, tmp_path / mode, batch_norm_data=data, batch_norm=mode)
        whole = tf.saved_model.load(folder)
        served = whole.serve(x, tf.constant(0.5))
        expected = path.model(0.5, data).predict(x, verbose=0)
        np.testing.assert_allclose(served, expected, atol=1e-5 if dtype == "float64" else 1e-2)


def test_batch_norm_needs_data_between_the_ends_unless_told_otherwise(batch_norm_pair, tmp_path):
    start, end, (x, _) = batch_norm_pair
    path = mc.connect(start, end)
    for refused in (
        lambda: mc.export_points(path, tmp_path / "points"),
        lambda: mc.export_path(path, tmp_path / "path"),
    ):
        with pytest.raises(ValueError, match="measured on training inputs .* `batch_norm_data`"):
            refused()
    with pytest.raises(ValueError, match="no batch_norm='none'; use 'reestimate' or"):
        mc.export_path(path, tmp_path / "path", batch_norm_data=x, batch_norm="none")
    assert os.listdir(tmp_path) == []
    mc.export_points(path, tmp_path, [0.0, 1.0])  # the ends have statistics of their own
    (folder,) = mc.export_points(path, tmp_path, [0.5], batch_norm_data=x, batch_norm="interpolate")
    served = tf.saved_model.load(folder)
    expected = path.model(0.5).predict(x[:5], verbose=0)
    np.testing.assert_allclose(served.serve(x[:5]), expected, atol=1e-5)


def test_positions_beyond_the_ends_are_clipped_when_served(dense_pair, tmp_path):
    path = mc.connect(*dense_pair[:2])
    whole = tf.saved_model.load(mc.export_path(path, tmp_path / "path"))
    x = dense_pair[2][0][:3]
    np.testing.assert_allclose(
        whole.serve(x, tf.constant(1.7)), dense_pair[1].predict(x, verbose=0), atol=1e-6
    )


@pytest.mark.slow
def test_a_fresh_process_needs_tensorflow_only(dense_pair, tmp_path):
    mc.export_path(mc.connect(*dense_pair[:2], "arc"), tmp_path / "path")
    code = (
        "import sys, tensorflow as tf;"
        f"m = tf.saved_model.load({str(tmp_path / 'path')!r});"
        "print(m.signatures['serve'](x=tf.zeros((2, 5)), t=tf.constant(0.3))['output_0'].shape);"
        "assert 'mc_keras' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "(2, 3)", result.stderr


def test_a_curve_layer_in_a_network_is_exported(tmp_path):
    inputs = keras.Input((5,))
    t = keras.Input((), name="t")
    model = keras.Model([inputs, t], CurveLayer(keras.layers.Dense(2))(inputs, t))
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    served = loaded.serve([tf.ones((3, 5)), tf.zeros(3)])
    np.testing.assert_allclose(served, model([np.ones((3, 5)), np.zeros(3)]), atol=1e-6)


def test_minus_zero_is_zero(dense_pair, tmp_path):
    (folder,) = mc.export_points(mc.connect(*dense_pair[:2]), tmp_path, [-0.0])
    assert folder.name == "t_0.000"


def test_bad_arguments(dense_pair, tmp_path):
    path = mc.connect(*dense_pair[:2])
    with pytest.raises(ValueError, match=r"in \[0, 1\], received t=2.0"):
        mc.export_points(path, tmp_path, [0.5, 2])
    with pytest.raises(ValueError, match="differ in the first three decimals"):
        mc.export_points(path, tmp_path, [0.5, 0.50001])
    several = [keras.Input((5,)), keras.Input((5,))]
    model = keras.Model(several, keras.layers.Dense(2)(keras.layers.Add()(several)))
    with pytest.raises(ValueError, match="one input tensor, received .* with 2: export points"):
        mc.export_path(mc.connect(model, model), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Cannot write"):
        mc.export_points(path, tmp_path / "file", [0.5])
    assert os.listdir(tmp_path) == ["file"]


def test_augmentation_is_left_out_of_what_is_served(tmp_path):
    layers = keras.layers

    def sequential():
        augmented = layers.RandomFlip(), layers.RandomRotation(0.5), layers.GaussianNoise(1.0)
        head = layers.Flatten(), layers.Dense(3)
        return keras.Sequential([keras.Input((4, 4, 1)), *augmented, *head])

    def functional():
        inside = sequential()
        inputs = keras.Input((4, 4, 1), name="pixels")
        return keras.Model(inputs, inside(layers.RandomTranslation(0.4, 0.4)(inputs)))

    for build in (sequential, functional):
        a, b, x = pair(build)
        path = mc.connect(a, b)
        (folder,) = mc.export_points(path, tmp_path / build.__name__, [0.4])
        served = tf.saved_model.load(folder)
        np.testing.assert_allclose(
            served.serve(x), path.model(0.4).predict(x, verbose=0), atol=1e-5
        )


@pytest.mark.parametrize(
    "method",
    [
        "best",
        *(
            pytest.param(method, marks=pytest.mark.slow)
            for method in ("linear+wa", "ot+repair", mc.connectors.CurveFitting(epochs=1))
        ),
    ],
)
def test_networks_that_read_words(method, tmp_path):
    words = ["a", "few", "short", "words"]

    def build():
        vectorize = keras.layers.TextVectorization(output_sequence_length=5, vocabulary=words)
        layers = keras.layers.Embedding(6, 4), keras.layers.Flatten(), keras.layers.Dense(7, "relu")
        head = keras.layers.Dense(2)
        return keras.Sequential([keras.Input((1,), dtype="string"), vectorize, *layers, head])

    a, b = build(), build()
    rng = np.random.default_rng(0)
    x = np.array([[" ".join(rng.choice([*words, "other"], 4))] for _ in range(40)])
    y = np.array(["a" in row[0] for row in x]).astype(int)
    assert mc.evaluate_path(mc.connect(a, b), {"test": (x, y)}, 3)["test_loss"].shape == (3,)
    path = mc.connect(a, b, method, (x, y))
    expected = path.model(0.3).predict(tf.constant(x), verbose=0)
    served = tf.saved_model.load(mc.export_path(path, tmp_path / "path"))
    outputs = served.serve(tf.constant(x), tf.constant(0.3))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
