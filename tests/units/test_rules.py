"""Proof of each rule: the groups it gives may be permuted, and need all their axes."""

import dataclasses
import functools

import numpy as np
import pytest

from mc_keras.units import unit_groups
from mc_keras.weight_space import WeightSpace
from tests.units.layer_models import MODELS
from tests.units.networks import (
    assert_same_function,
    assert_slots_are_free,
    outputs,
    outputs_after,
    random_inputs,
    random_permutations,
    randomize,
)

# Weights that do not matter: a bias that is normalized away, the bias of keys (softmax
# cancels it), a singular vector that only training uses.
UNSEEN = {
    "LayerNormalization over space": ("made/bias",),
    "LayerNormalization of rows": ("made/bias",),
    "GroupNormalization of all": ("made/bias",),
    "SpectralNormalization": ("vector_u",),
    "SpectralNormalization transposed": ("vector_u",),
    "BatchNormalization renormalized": ("moving_stddev", "renorm_mean", "renorm_stddev"),
    **{name: ("key/bias",) for name in MODELS if "ttention" in name},
}


@functools.cache
def built(name):
    model = randomize(MODELS[name][0]())
    return model, unit_groups(model)


@pytest.mark.parametrize("name", MODELS)
def test_random_permutations_leave_the_outputs_unchanged(name):
    model, groups = built(name)
    assert sorted(group.size for group in groups) == MODELS[name][1]
    assert_same_function(model, groups, random_inputs(model))


@pytest.mark.parametrize("name", MODELS)
def test_slots_are_free_where_no_reduction_reads_them(name):
    model, groups = built(name)
    assert_slots_are_free(model, groups, random_inputs(model))


@pytest.mark.parametrize("name", MODELS)
def test_each_axis_is_needed(name):
    model, groups = built(name)
    arrays = random_inputs(model)
    space = WeightSpace(model)
    before = outputs(model, arrays)
    for group in groups:
        (permutation,) = random_permutations([group])
        for axis in group.axes:
            variables = space.variables if axis.trainable else space.state_variables
            without = tuple(other for other in group.axes if other is not axis)
            partial = dataclasses.replace(group, axes=without)
            after = outputs_after(model, [partial], [permutation], arrays)
            unseen = variables[axis.variable].path.endswith(UNSEEN.get(name, "never"))
            assert np.allclose(after, before, rtol=1e-6) == unseen, (group.name, axis)
