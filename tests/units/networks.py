"""Random weights and inputs for any model, and the check that all tests of unit groups share."""

import keras
import numpy as np

from mc_keras.cloning import clone
from mc_keras.connectors.permutation_stage import SlotEditor, Slots
from mc_keras.units import match_units, permute_all, unit_groups
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


def hidden(*layers):
    """A network of five hidden units, layers behind them and three outputs."""
    ends = keras.layers.Dense(5), keras.layers.Dense(3)
    return randomize(keras.Sequential([keras.Input((4,)), ends[0], *layers, ends[1]]))


def depthwise_pair():
    """Two networks: a depthwise convolution with two units of each channel, then one filter."""
    layers = keras.layers
    return [
        randomize(
            keras.Sequential(
                [
                    keras.Input((6, 6, 4)),
                    layers.DepthwiseConv2D(3, depth_multiplier=2),
                    layers.Conv2D(1, 2),
                ]
            ),
            seed,
        )
        for seed in (0, 1)
    ]


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


def with_planted(model, seed=2):
    """A copy of the model with its units permuted at random, and the permutations."""
    groups = unit_groups(model)
    permutations = random_permutations(groups, seed)
    copy, space = clone(model), WeightSpace(model)
    WeightSpace(copy).write(*permute_all(groups, permutations, space.read(), space.read_state()))
    return copy, permutations


def assert_planted_is_found(model, seed=2):
    """Matching by weights undoes a random permutation of all units, in each weight and moment.

    Units with equal weights may change places with each other.
    """
    copy, _ = with_planted(model, seed)
    original, space = WeightSpace(model), WeightSpace(copy)
    found = match_units(model, copy)
    point, state = permute_all(found.groups, found.permutations, space.read(), space.read_state())
    pairs = zip(point + state, original.read() + original.read_state(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs), f"not found: costs {found.costs}"


def assert_slots_are_free(model, groups, arrays):
    """A unit without outgoing weights can take over another's part bit by bit.

    Not so in groups that a reduction reads, nor where the rows of a weight go out and come in, nor
    where no weight leads out, as from the dimensions of queries and keys.
    """
    space = WeightSpace(model)
    point, state = space.read(), space.read_state()
    for group in groups:
        freed = _with_second_slot(group, (point, state), out=0)
        taken = _with_second_slot(group, freed, copied=True)
        can_be_freed = {axis.role for axis in group.axes} == {"in", "out"} and not any(
            rows[1].any() for rows in _rows(group, taken, "out")
        )
        slots = Slots(group, SlotEditor(space, point, state))
        assert slots.can_be_freed == can_be_freed, group.name
        if group.reduced or not can_be_freed:
            continue
        shared = _with_second_slot(group, taken, out=0.3)
        values = []
        for moved in (freed, shared):
            space.write(*moved)
            values.append(outputs(model, arrays))
        space.write(point, state)
        scale = np.abs(values[0]).max()
        np.testing.assert_allclose(*values, rtol=1e-7, atol=1e-7 * scale, err_msg=group.name)


def _rows(group, weights, role):
    return [
        axis.take(weights[not axis.trainable][axis.variable])
        for axis in group.axes
        if axis.role == role
    ]


def _with_second_slot(group, weights, copied=False, out=None):
    """Weights whose second slot has the first one's incoming ones, or a part of its outgoing."""
    weights = [list(arrays) for arrays in weights]
    for axis in group.axes:
        arrays = weights[not axis.trainable]
        first, _, *others = axis.take(arrays[axis.variable])
        if copied and axis.role == "in":
            rows = [first, first, *others]
        elif out is not None and axis.role == "out":
            rows = [(1 - out) * first, out * first, *others]
        else:
            continue
        arrays[axis.variable] = axis.put(arrays[axis.variable], np.stack(rows))
    return weights


def assert_same_function(model, groups, arrays, seed=2, rtol=1e-9):
    """Permuting every group at random leaves the outputs equal up to rounding."""
    before = outputs(model, arrays)
    after = outputs_after(model, groups, random_permutations(groups, seed), arrays)
    np.testing.assert_allclose(after, before, rtol=rtol, atol=rtol * np.abs(before).max())
