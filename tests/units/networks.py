"""Random weights and inputs for any model, and the check that all tests of unit groups share."""

import keras
import numpy as np

from mc_keras.units import permute_all
from mc_keras.weight_space import WeightSpace


def randomize(model, seed=0):
    """Give every weight of the model a random value, moving variances a positive one."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = rng.normal(size=variable.shape)
        if "variance" in variable.path:
            value = rng.uniform(0.5, 1.5, size=variable.shape)
        elif len(variable.shape) > 1:
            value *= np.prod(variable.shape[:-1]) ** -0.5
        variable.assign(value.astype(variable.dtype))
    return model


def random_inputs(model, batch=3, seed=1):
    """One array for each input of the model; small integers for integer inputs."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape = (tensor.shape[0] or batch, *tensor.shape[1:])
        integer = keras.backend.is_int_dtype(tensor.dtype)
        arrays.append(rng.integers(0, 5, shape) if integer else rng.normal(size=shape))
    return arrays


def outputs(model, arrays):
    """All outputs of the model as one flat array."""
    values = keras.tree.flatten(model(arrays if len(arrays) > 1 else arrays[0], training=False))
    return np.concatenate([keras.ops.convert_to_numpy(value).ravel() for value in values])


def outputs_after(model, groups, permutations, arrays):
    """Outputs of the model with its units permuted; the model is left as it was."""
    space = WeightSpace(model)
    point, state = space.read(), space.read_state()
    space.write(*permute_all(groups, permutations, point, state))
    permuted = outputs(model, arrays)
    space.write(point, state)
    return permuted


def random_permutations(groups, seed=2):
    """A random permutation of each group that moves at least one unit."""
    rng = np.random.default_rng(seed)
    permutations = []
    for group in groups:
        permutation = rng.permutation(group.size)
        if np.array_equal(permutation, np.arange(group.size)):
            permutation = np.roll(permutation, 1)
        permutations.append(permutation)
    return permutations


def assert_same_function(model, groups, arrays, seed=2, rtol=1e-9):
    """Permuting every group at random leaves the outputs equal up to rounding."""
    before = outputs(model, arrays)
    after = outputs_after(model, groups, random_permutations(groups, seed), arrays)
    np.testing.assert_allclose(after, before, rtol=rtol, atol=rtol * np.abs(before).max())
