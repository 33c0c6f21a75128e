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
    behind = network.at(network.point, network.state)
    normed.run(behind)
    outputs = list(behind.sums(normed.layer, norm.outputs))
    return normed.features(np.concatenate(features)), np.concatenate(outputs)


def passed(network, normed, folded):
    """A network behind both, and what it has for kernel, scale and offset."""
    behind = network.at(network.point, network.state)
    normed.pass_with(folded, behind, 0.3)
    return behind, [np.array(behind.point[number]) for number in normed.numbers]


def test_folded_it_gives_what_the_batch_norm_gives(before):
    network, normed = before
    features, outputs = given(network, normed)
    np.testing.assert_allclose(features @ normed.folded(network), outputs, atol=1e-4)
    np.testing.assert_allclose(np.abs(outputs.std(0)), [1.5, 0.7, 0.3, 2.0, 1.0], rtol=0.1)


def test_any_map_can_be_given(before):
    network, normed = before
    features, _ = given(network, normed)
    folded = np.random.default_rng(1).normal(size=(features.shape[1], 5))
    folded[:-1, 3] = 0.0  # a unit that gives a constant
    behind, (found, scale, _) = passed(network, normed, folded)
    for number in normed.numbers:
        assert behind.point[number].shape == network.point[number].shape
    outputs = behind.sums(normed.layer, network.program.calls[1].outputs)
    np.testing.assert_allclose(np.concatenate(list(outputs)), features @ folded, atol=1e-3)
    # The weights alone give it too, statistics measured anew.
    alone = network.at(behind.point, network.state)
    np.testing.assert_allclose(given(alone, normed)[1], features @ folded, atol=1e-3)
    # Units keep their length and the sign of their scale: neighbours on a path are near.
    kernel = np.array(network.point[normed.layer.kernel])
    lengths = [np.linalg.norm(k.reshape(-1, 5), axis=0) for k in (kernel, found)]
    np.testing.assert_allclose(lengths[1][[0, 1, 2, 4]], lengths[0][[0, 1, 2, 4]], rtol=1e-5)
    assert (np.sign(scale[[0, 1, 2, 4]]) == [1, -1, 1, -1]).all()


def test_units_are_as_long_as_in_the_ends_and_constant_ones_keep_their_kernel(before):
    """Also where the kernel between those of the ends nearly cancels."""
    network, normed = before
    kernel = np.array(network.point[normed.layer.kernel])
    folded = normed.folded(network)
    folded[:-1, 2] = 0.0
    network.set(normed.layer.kernel, kernel * np.float32([1e-6, 1.0, 1.0, 1.0, 1.0]))
    _, (found, scale, _) = passed(network, normed, folded)
    lengths = [np.linalg.norm(k.reshape(-1, 5), axis=0) for k in (kernel, found)]
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-4)
    np.testing.assert_allclose(scale, [1.5, -0.7, 0.0, 2.0, -1.0], rtol=1e-3)


def test_given_the_map_that_it_makes_it_stays(before):
    network, normed = before
    behind, arrays = passed(network, normed, normed.folded(network))
    for number, array in zip(normed.numbers, arrays, strict=True):
        np.testing.assert_allclose(array, network.point[number], rtol=1e-4, atol=1e-4)
    for before_it, behind_it in zip(network.point, behind.point, strict=True):
        np.testing.assert_allclose(behind_it, before_it, rtol=1e-4, atol=1e-4)
