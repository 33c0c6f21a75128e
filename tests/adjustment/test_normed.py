"""A layer and its batch norm as one linear map, and back."""

import keras
import numpy as np
import pytest
from keras import layers as L

from mc_keras.adjustment.networks import Network
from mc_keras.adjustment.normed import NormedLayer
from mc_keras.adjustment.program import Program
from mc_keras.weight_space import WeightSpace
from tests.adjustment.networks import pair

LAYERS = {
    "dense": lambda: L.Dense(5, use_bias=False),
    "dense, bias": lambda: L.Dense(5),
    "convolution": lambda: L.Conv1D(5, 3, padding="same", use_bias=False),
    "convolution, bias": lambda: L.Conv1D(5, 3, strides=2),
}


@pytest.fixture(params=LAYERS)
def before(request):
    """A network up to the layer, which is its first one, and the two as one."""

    def build():
        norm = L.BatchNormalization(epsilon=0.01)
        return keras.Sequential([keras.Input((7, 4)), LAYERS[request.param](), norm, L.Dense(2)])

    model, _, x = pair(build, examples=60)
    model.layers[1].gamma.assign([1.5, -0.7, 0.3, 2.0, -1.0])
    space, program = WeightSpace(model), Program(model)
    network = Network(program, space, space.read(), space.read_state(), {program.input: x})
    (first, _) = program.linear
    layer = program.linear_layers(space, 1000, 0)[first]
    return network, NormedLayer(layer, first, program.calls[first + 1].op, [network, network])


def given(network, normed):
    """Features of the layer, and what the batch norm gives, in rows."""
    (call, norm) = network.program.calls[:2]
    features = [rows for rows, _ in network.features(normed.layer, call)]
    outputs = list(normed.measured(network).sums(normed.layer, norm.outputs))
    return normed.features(np.concatenate(features)), np.concatenate(outputs)


def test_folded_it_gives_what_the_batch_norm_gives(before):
    network, normed = before
    features, outputs = given(network, normed)
    np.testing.assert_allclose(features @ normed.folded(network), outputs, atol=1e-4)
    np.testing.assert_allclose(np.abs(outputs.std(0)), [1.5, 0.7, 0.3, 2.0, 1.0], rtol=0.1)


def test_any_map_can_be_unfolded(before):
    network, normed = before
    features, _ = given(network, normed)
    folded = np.random.default_rng(1).normal(size=(features.shape[1], 5))
    folded[:-1, 3] = 0.0  # a unit that gives a constant
    variables = normed.arrays(normed.unfolded(folded, network, 0.3).astype("float32"))
    kernel = np.array(network.point[normed.layer.kernel])
    for number, array in variables.items():
        assert array.shape == network.point[number].shape
        network.set(number, array)
    np.testing.assert_allclose(given(network, normed)[1], features @ folded, atol=1e-3)
    # Units keep their length and the sign of their scale: neighbours on a path are near.
    found = np.array(network.point[normed.layer.kernel])
    lengths = [np.linalg.norm(k.reshape(-1, 5), axis=0) for k in (kernel, found)]
    np.testing.assert_allclose(lengths[1][[0, 1, 2, 4]], lengths[0][[0, 1, 2, 4]], rtol=1e-5)
    scale = np.array(network.point[normed.numbers[1]])
    assert (np.sign(scale[[0, 1, 2, 4]]) == [1, -1, 1, -1]).all()


def test_units_are_as_long_as_in_the_ends_and_constant_ones_keep_their_kernel(before):
    """Also where the kernel between those of the ends nearly cancels."""
    network, normed = before
    kernel = np.array(network.point[normed.layer.kernel])
    folded = normed.folded(network)
    folded[:-1, 2] = 0.0
    network.set(normed.layer.kernel, kernel * np.float32([1e-6, 1.0, 1.0, 1.0, 1.0]))
    found = normed.arrays(normed.unfolded(folded, network, 0.3).astype("float32"))
    lengths = [np.linalg.norm(k.reshape(-1, 5), axis=0) for k in (kernel, found[normed.numbers[0]])]
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-4)
    scale = found[normed.numbers[1]]
    np.testing.assert_allclose(scale, [1.5, -0.7, 0.0, 2.0, -1.0], rtol=1e-3)


def test_folded_and_unfolded_it_stays(before):
    network, normed = before
    variables = normed.arrays(normed.unfolded(normed.folded(network), network, 0.3))
    for number, array in variables.items():
        np.testing.assert_allclose(array, network.point[number], rtol=1e-4, atol=1e-4)
