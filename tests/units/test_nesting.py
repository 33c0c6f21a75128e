import keras

from mc_keras.units import unit_groups
from mc_keras.units.nesting import find_nests
from mc_keras.weight_space import WeightSpace

L = keras.layers


def nests(model):
    groups = unit_groups(model)
    found = find_nests(groups, WeightSpace(model).read())
    names = [group.name for group in groups]
    return {
        names[nest.outer]: [tuple(names[i] for i in inner) for inner in nest.inner]
        for nest in found
    }


def test_dimensions_are_within_heads():
    inputs = keras.Input((3, 4))
    x = L.Dense(6)(inputs)
    x = x + L.MultiHeadAttention(3, 4, value_dim=2, name="mha")(x, x)
    assert nests(keras.Model(inputs, L.Dense(2)(x))) == {
        "mha/heads": [(f"mha/query_key[{h}]", f"mha/value[{h}]") for h in range(3)]
    }


def test_query_heads_are_within_shared_heads():
    inputs = keras.Input((3, 4))
    x = L.Dense(6)(inputs)
    x = L.GroupQueryAttention(3, 4, 2, name="gqa")(x, x)
    inner = [(f"gqa/query_key[{h}]", f"gqa/value[{h}]", f"gqa/query_heads[{h}]") for h in range(2)]
    assert {
        name: [tuple(sorted(held)) for held in units]
        for name, units in nests(keras.Model(inputs, L.Dense(2)(x))).items()
    } == {"gqa/heads": [tuple(sorted(held)) for held in inner]}


def test_no_nests_without_attention():
    layers = [L.Conv2D(4, 2), L.DepthwiseConv2D(2, depth_multiplier=2), L.Conv2D(8, 1, groups=2)]
    model = keras.Sequential([keras.Input((4, 4, 2)), *layers, L.Flatten(), L.Dense(3)])
    assert nests(model) == {}
