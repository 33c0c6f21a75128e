"""What a walk over the graph refuses and lets users add."""

import keras
import numpy as np
import pytest
from keras import layers as L

from mc_keras.units import register_unit_rule, unit_groups
from mc_keras.units.rules import RULES
from mc_keras.units.tensors import combine, hold
from tests.units.networks import assert_same_function, hidden, random_inputs, randomize


class Gain(L.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), name="gain")

    def call(self, x):
        return x * self.gain


class Block(L.Layer):
    """A layer made of layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(6, activation="relu"), L.Dense(5)

    def build(self, shape):
        self.first.build(shape)
        self.second.build((None, 6))

    def call(self, x):
        return x + self.second(self.first(x))


class NamedDense(L.Dense):
    """Only the constructor differs."""

    def __init__(self, units):
        super().__init__(units, activation="tanh", name="named")


class Reversed(L.Dense):
    """A dense layer that is not equivariant any more."""

    def call(self, x):
        return super().call(x[:, ::-1])


@pytest.fixture
def own_rule():
    """Register rules for the time of a test."""
    before = dict(RULES)
    yield register_unit_rule
    RULES.clear()
    RULES.update(before)


def test_a_layer_without_a_rule_is_named():
    with pytest.raises(ValueError, match=r"'gain.*' of class Gain.*register_unit_rule\(Gain\)"):
        unit_groups(hidden(Gain()))


def test_groups_end_at_a_layer_without_a_rule():
    model = hidden(L.Dense(6), Gain(), L.Dense(7))
    groups = unit_groups(model, on_unknown="end")
    assert [group.size for group in groups] == [5, 7]
    assert_same_function(model, groups, random_inputs(model))


def test_weights_of_a_layer_without_a_rule_hold_still_elsewhere():
    """The kernel of the shared layer is used by a layer that hides what it does with it."""
    shared = L.Dense(6)

    class Hidden(L.Layer):
        def __init__(self):
            super().__init__()
            self.shared = shared

        def call(self, x):
            return keras.ops.cumsum(self.shared(x), axis=-1)

    inputs = keras.Input((5,))
    x = L.Dense(5)(inputs)
    model = randomize(keras.Model(inputs, [L.Dense(2)(shared(x)), Hidden()(inputs)]))
    groups = unit_groups(model, on_unknown="end")
    assert groups == ()
    assert_same_function(model, groups, random_inputs(model))


def test_own_rule(own_rule):
    own_rule(Gain)(lambda call: call.scale(call.input, call.op.gain, axes=[-1]))
    model = hidden(Gain())
    (group,) = unit_groups(model)
    assert len(group.axes) == 4
    assert_same_function(model, [group], random_inputs(model))


def test_own_rule_for_a_layer_of_layers(own_rule):
    @own_rule(Block)
    def rule(call):
        inner = call.apply(call.op.second, call.apply(call.op.first, call.input))
        return combine(call.places, call.input, inner)

    model = hidden(Block())
    groups = unit_groups(model)
    assert sorted(group.size for group in groups) == [5, 6]
    assert_same_function(model, groups, random_inputs(model))


def test_an_own_rule_with_a_wrong_result(own_rule):
    own_rule(Gain)(lambda call: call.with_units(3, 2, np.arange(5)))
    with pytest.raises(ValueError, match=r"'gain.*' \(Gain\) returned units of shape \(1, 1, 5\)"):
        unit_groups(hidden(Gain()))


@pytest.mark.parametrize(
    ("result", "received"),
    [
        (lambda x: None, "NoneType"),
        (lambda x: [x, x], "UnitTensor, UnitTensor"),
        (lambda x: [], "nothing"),
    ],
)
def test_an_own_rule_with_too_few_or_many_results(own_rule, result, received):
    own_rule(Gain)(lambda call: result(call.input))
    with pytest.raises(TypeError, match=rf"one UnitTensor for each .* Received: {received}\."):
        unit_groups(hidden(Gain()))


def test_an_own_rule_that_forgets_a_weight(own_rule):
    own_rule(Gain)(lambda call: call.input)
    with pytest.warns(UserWarning, match=r"'gain.*' \(Gain\) never mentions its weight '.*gain'"):
        unit_groups(hidden(Gain()))


def test_an_own_rule_that_says_that_a_weight_holds_still(own_rule):
    @own_rule(Gain)
    def rule(call):
        call.still(call.op.gain)
        return hold(call.places, call.input, [1])

    model = hidden(Gain())
    assert unit_groups(model) == ()


def test_tensors_that_an_own_rule_does_not_read_hold_still(own_rule):
    class Shift(L.Layer):
        def call(self, x, by):
            return x + by * keras.ops.arange(5.0, dtype=x.dtype)

    own_rule(Shift)(lambda call: call.input)
    inputs = keras.Input((4,))
    by = L.Dense(5, name="by")(inputs)
    model = randomize(keras.Model(inputs, L.Dense(2)(Shift()(L.Dense(5, name="x")(inputs), by))))
    groups = unit_groups(model)
    assert [group.name for group in groups] == ["x"]


def test_weights_that_the_model_does_not_track_hold_still(own_rule):
    class Holder(L.Layer):
        def build(self, shape):
            dense = L.Dense(5)
            dense.build(shape)
            self.dense = lambda: dense

        def call(self, x):
            return self.dense()(x)

    own_rule(Holder)(lambda call: call.apply(call.op.dense(), call.input))
    model = hidden(L.Dense(6), Holder(), L.Dense(7))
    groups = unit_groups(model)
    assert [group.size for group in groups] == [5, 7]
    assert_same_function(model, groups, random_inputs(model))


def test_a_rule_belongs_to_a_class():
    with pytest.raises(TypeError, match="Pass the class, not an instance"):
        register_unit_rule(Gain())


def test_subclasses():
    assert [group.size for group in unit_groups(hidden(NamedDense(6)))] == [5, 6]
    with pytest.raises(ValueError, match="of class Reversed"):
        unit_groups(hidden(Reversed(6)))


def test_an_activation_that_treats_units_differently():
    def ramp(x):
        return x * keras.ops.arange(x.shape[-1], dtype=x.dtype)

    with pytest.raises(ValueError, match="its activation 'ramp' treats units differently"):
        unit_groups(hidden(L.Activation(ramp)))


def by_index(x):
    return x * keras.ops.arange(x.shape[-1], dtype=x.dtype)


def halves(x):
    return keras.ops.concatenate([keras.ops.relu(x[..., :8]), x[..., 8:]], -1)


@pytest.mark.parametrize(
    "layer",
    [
        L.Lambda(by_index),
        L.Lambda(lambda x, k=0: by_index(x) if k else x, arguments={"k": 1}),
        L.Lambda(lambda x: by_index(x) if x.shape[-1] == 16 else x),
        L.Lambda(lambda x: by_index(x) if len(x.shape) == 3 else x),
        L.Activation(halves),
        L.Conv1D(16, 1, activation=halves),
        L.LSTM(16, activation=lambda x: x[..., ::-1]),
        L.Lambda(lambda x: x + keras.ops.roll(x, 1, -1)),
    ],
)
def test_a_function_that_treats_units_differently_at_its_own_sizes(layer):
    model = keras.Sequential([keras.Input((3, 4)), L.Dense(16), layer, L.Flatten(), L.Dense(2)])
    with pytest.raises(ValueError, match="treats units differently"):
        unit_groups(model)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x[..., :3], (3,)),
        (lambda x: keras.ops.reshape(x, (-1, 1, 5)), (1, 5)),
        (lambda x: x.no_such_attribute, (5,)),
    ],
)
def test_a_function_that_changes_the_shape_or_fails(function, shape):
    model = hidden(L.Lambda(function, output_shape=shape), L.Flatten())
    with pytest.raises(ValueError, match="fails on an array of random numbers, or changes its"):
        unit_groups(model)
    assert unit_groups(model, on_unknown="end") == ()


def test_a_function_of_tensors_that_do_not_broadcast():
    inputs = keras.Input((4, 5))
    x = L.Dense(6)(inputs)
    x = L.Lambda(lambda pair: pair[0] * pair[1][:, None])([x, x[:, 0]])
    with pytest.raises(ValueError, match="fails on an array of random numbers, or changes its"):
        unit_groups(keras.Model(inputs, L.Dense(2)(x)))


def test_an_activation_with_weights_is_not_built():
    model = keras.Sequential([keras.Input((4,)), L.Dense(5, activation=L.PReLU()), L.Dense(2)])
    with pytest.raises(ValueError, match="call it once on data"):
        unit_groups(model)
    assert model(np.ones((1, 4))).shape == (1, 2)
    assert [group.size for group in unit_groups(model)] == [5]


def test_an_operation_without_a_rule():
    inputs = keras.Input((4,))
    x = L.Dense(5)(inputs)
    x = x - keras.ops.quantile(x, 0.5, axis=-1, keepdims=True)
    with pytest.raises(ValueError, match=r"covers 'quantile.*other operations, put it into a"):
        unit_groups(keras.Model(inputs, L.Dense(2)(x)))


def test_low_rank_updates_are_refused():
    model = hidden(L.Dense(6))
    model.layers[1].enable_lora(2)
    with pytest.raises(ValueError, match="LoRA.* or a property"):
        unit_groups(model)


def test_not_a_graph():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((1, 4)))
    with pytest.raises(TypeError, match=r"Received: a Own .*keras\.Model\(inputs, outputs\)"):
        unit_groups(model)
    with pytest.raises(TypeError, match=r"Received: None\. "):
        unit_groups(None)
    with pytest.raises(TypeError, match=r"an unbuilt Sequential .* Give it a keras\.Input first"):
        unit_groups(keras.Sequential([L.Dense(3)]))
    with pytest.raises(ValueError, match=r'"error" or "end"'):
        unit_groups(hidden(), on_unknown="ignore")


def test_rules_of_ones_own_are_not_asked_for_in_place_of_those_there_are():
    """A rule for `Dense` would stand for all dense layers, for the sake of one."""
    odd = keras.layers.Dense(5, activation=lambda x: x * keras.ops.arange(5, dtype="float32"))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), odd, keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="for a class derived from Dense, of which") as refused:
        unit_groups(model)
    assert "register_unit_rule, or pass" in str(refused.value)
