import math

import keras
import numpy as np

import mc_keras as mc
from tests.units.networks import depthwise_pair


def test_one_hidden_layer_moves_butterflies(dense_pair):
    """Against the formula, written out for the matrix of butterflies."""
    a, b = (model.get_weights() for model in dense_pair[:2])

    def butterflies(weights):
        kernel, bias, out, _ = weights
        return np.hstack([kernel.T, bias[:, None], out])

    rows = butterflies(a), butterflies(b)
    mean = np.vstack(rows).mean(0)
    path = mc.connect(*dense_pair[:2], "arc")
    for t in (0.1, 0.5, 0.9):
        cos, sin = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
        expected = mean + cos * (rows[0] - mean) + sin * (rows[1] - mean)
        np.testing.assert_allclose(butterflies(path(t)), expected, atol=1e-6)
        np.testing.assert_allclose(path(t)[3], (1 - t) * a[3] + t * b[3], atol=1e-6)


def test_deeper_networks_move_incoming_rows_layer_by_layer(deep_pair):
    a, b = (model.get_weights() for model in deep_pair[:2])
    path = mc.connect(*deep_pair[:2], "arc")
    t = 0.3
    cos, sin = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
    for i in (0, 2, 4):
        rows = [np.vstack([w[i], w[i + 1][None]]).T for w in (a, b)]
        mean = np.vstack(rows).mean(0)
        expected = mean + cos * (rows[0] - mean) + sin * (rows[1] - mean)
        found = np.vstack([path(t)[i], path(t)[i + 1][None]]).T
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_wide_layers_keep_their_covariance():
    """Proposition 1 of the paper, on networks of random weights."""

    def build(seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(4000, "relu"), keras.layers.Dense(2)]
        )

    a, b = build(0), build(1)
    for method, expected in (("arc", 1.0), ("linear", 0.5)):
        kernel = mc.connect(a, b, method)(0.5)[0]
        ratio = kernel.var(1).mean() / a.get_weights()[0].var(1).mean()
        np.testing.assert_allclose(ratio, expected, atol=0.05)


def test_without_mean_it_turns_around_zero(dense_pair):
    a, b = (model.get_weights() for model in dense_pair[:2])
    path = mc.connect(*dense_pair[:2], mc.connectors.Arc(mean="none"))
    np.testing.assert_allclose(path(0.5)[0], (a[0] + b[0]) * math.sqrt(0.5), atol=1e-6)


def test_rows_of_depthwise_kernels():
    """Against the formula, for the matrix with a column for each output channel."""
    a, b = (
        np.vstack([w.reshape(-1, 8) for w in model.get_weights()[:2]]) for model in depthwise_pair()
    )
    mean = np.hstack([a, b]).mean(1, keepdims=True)
    middle = mc.connect(*depthwise_pair(), "arc")(0.5)
    found = np.vstack([w.reshape(-1, 8) for w in middle[:2]])
    np.testing.assert_allclose(found, mean + np.sqrt(0.5) * (a + b - 2 * mean), atol=1e-5)
