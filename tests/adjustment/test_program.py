"""The graph as a list of calls, run call by call."""

import keras
import numpy as np
import pytest
from keras import layers as L

import mc_keras as mc
from mc_keras.adjustment.networks import BYTES, Network
from mc_keras.adjustment.program import Program
from mc_keras.batch_norm import estimate_batch_norm
from mc_keras.weight_space import WeightSpace
from tests.adjustment.networks import NETWORKS, dense, heads, pair, shared

HELD = {"in memory": (BYTES, 0), "in files": (0, BYTES), "in both": (800_000, BYTES), "not": (0, 0)}


@pytest.fixture(params=HELD.values(), ids=HELD)
def limit(request, monkeypatch):
    """Bytes of activations that are held in memory, with room for files or without."""
    monkeypatch.setattr("mc_keras.adjustment.networks.room_for_files", lambda: request.param[1])
    return request.param[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_calls_one_by_one_give_the_outputs_of_the_model(name, limit):
    model, _, x = pair(NETWORKS[name], examples=1700)
    for layer in model._flatten_layers():
        layer.trainable = False  # batch norm keeps its statistics
    space = WeightSpace(model)
    program = Program(model)
    network = Network(program, space, space.read(), space.read_state(), {program.input: x}, limit)
    for position in range(len(program.calls)):
        network.run(position)
        network.settle(position + 1)
        held = {n: array.nbytes for n, array in network.values.items() if n != program.input}
        assert sum(held.values()) <= limit
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(network.value(program.output), expected, atol=1e-5)
    if limit == BYTES:
        assert set(network.values) == {program.input, program.output}


@pytest.mark.parametrize(("room", "most"), [(2**40, 1), (0, 5)])
def test_nothing_is_made_again_if_there_is_room_for_files(room, most, monkeypatch):
    monkeypatch.setattr("mc_keras.adjustment.networks.room_for_files", lambda: room)
    model, _, x = pair(lambda: dense((6, 5, 7, 4)), examples=700)
    space, program = WeightSpace(model), Program(model)
    network = Network(program, space, space.read(), space.read_state(), {program.input: x}, 0)
    waiting = []
    for position in range(len(program.calls)):
        network.settle(position)
        waiting.append(len(network.waiting))
        network.run(position)
    assert max(len(network.waiting), *waiting) == most


def test_batch_norm_is_measured_over_all_examples(limit):
    model, _, x = pair(NETWORKS["convolutions"], examples=700)
    space = WeightSpace(model)
    program = Program(model)
    network = Network(program, space, space.read(), space.read_state(), {program.input: x}, limit)
    for position in range(len(program.calls)):
        network.run(position)
    expected = estimate_batch_norm(space, space.read(), x, batch_size=700)
    for found, wanted in zip(network.state, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    # Those of the calls before hold in a network that goes on from here, whatever it is given.
    other = network.at(space.read(), [np.zeros_like(array) for array in expected])
    np.testing.assert_array_equal(other.value(program.output), network.value(program.output))


def test_shared_layers_are_not_solved_for():
    program = Program(shared())
    assert [program.calls[n].path for n in program.linear] == ["own_0", "own_1", "head"]
    assert {program.calls[n].path for n in program.shared} == {"both", "norm"}
    program.check_solvable()
    with pytest.raises(ValueError, match="'norm' is called more than once"):
        program.check_stepwise()


def test_heads_are_called_last_and_make_one_step():
    program = Program(heads())
    steps = [[program.calls[number].path for number in step] for step in program.steps]
    assert steps == [["hidden_a"], ["hidden_b"], ["head_a", "head_b"]]
    assert [program.step_of(number) for number in program.linear] == [0, 1, 2, 2]


def test_what_stands_beside_a_sum():
    inputs = keras.Input((4,))
    first = L.Dense(5, name="first")(inputs)
    bent = L.Dense(5, "relu", name="bent")(inputs)
    second = L.Dense(5, name="second")(bent)
    stream = L.Add()([first, second, bent])
    third = L.Dense(5, name="third")(stream)
    stream = stream + L.Dropout(0.2)(third)
    spread = L.Dense(1, name="spread")(stream)
    twice = L.Dense(5, name="twice")(stream)
    read = L.Dense(5, name="read")(stream)
    outputs = L.Add()([stream, L.ReLU()(read), read]) + spread + L.Add()([twice, twice])
    program = Program(keras.Model(inputs, L.Dense(3, name="head")(outputs)))
    slots = {call.path: call.outputs[0] for call in program.calls}
    found = {program.calls[n].path: set(program.beside(n)) for n in program.linear}
    (add,) = (c.outputs[0] for c in program.calls if slots["first"] in c.inputs)
    assert found.pop("second") == {slots["first"], slots["bent"]}
    assert found.pop("third") == {add}
    assert set(found) == {"first", "bent", "spread", "twice", "read", "head"}
    assert not any(found.values())


def test_batch_norm_follows_the_layer_that_it_reads():
    model = NETWORKS["post-activation"]()
    # Keras sorts by depth: both convolutions, then both batch norms.
    order = [operation.name for operation in model.operations]
    assert order.index("writer_2_norm") != order.index("writer_2") + 1
    program = Program(model)
    paths = [call.path for call in program.calls]
    behind = {paths[n]: program.norm_behind(n) for n in program.linear}
    assert behind.pop("head") is None
    for path, norm in behind.items():
        assert norm == paths.index(path) + 1
        assert paths[norm] == f"{path}_norm"
        assert program.step_of(norm) == program.step_of(paths.index(path))
    sums = {paths[n] for n in program.linear if program.beside(n)}
    assert sums == {"writer", paths[max(paths.index("writer_2"), paths.index("shortcut"))]}


@pytest.mark.parametrize(
    "kind", ["frozen", "no scale", "no offset", "places", "read twice", "bent"]
)
def test_batch_norm_that_is_not_solved_for(kind):
    inputs = keras.Input((6, 4))
    x = L.Dense(5, "relu" if kind == "bent" else None)(inputs)
    norm = L.BatchNormalization(
        1 if kind == "places" else -1,
        center=kind != "no offset",
        scale=kind != "no scale",
        trainable=kind != "frozen",
    )
    others = [inputs, x] if kind == "read twice" else [inputs]
    stream = L.Add()([norm(x), *(L.Dense(5)(other) for other in others)])
    program = Program(keras.Model(inputs, L.Dense(2)(stream)))
    assert [program.norm_behind(n) for n in program.linear] == [None] * len(program.linear)


def test_what_cannot_be_followed_is_named():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="1 inputs and 2 outputs"):
        Program(keras.Model(inputs, [L.Dense(2)(inputs), L.Dense(2)(inputs)]))
    words = keras.Input((5,), dtype="int32")
    embedded = L.Embedding(9, 3, mask_zero=True, name="words")(words)
    with pytest.raises(ValueError, match="'words' gives a mask"):
        Program(keras.Model(words, L.LSTM(2)(embedded)))

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(TypeError, match="received a Own"):
        Program(Own())


def test_bytes_given_to_a_nested_model_are_cast_as_it_casts_them():
    def build():
        inner_inputs = keras.Input((4,))
        inner = keras.Model(inner_inputs, L.Dense(5, "relu")((inner_inputs + inner_inputs) / 128))
        inputs = keras.Input((4,), dtype="uint8")
        return keras.Model(inputs, L.Dense(3)(inner(inputs)))

    model, _, _ = pair(build)
    x = np.random.default_rng(0).integers(256, size=(60, 4)).astype("uint8")
    space, program = WeightSpace(model), Program(model)
    network = Network(program, space, space.read(), space.read_state(), {program.input: x})
    for position in range(len(program.calls)):
        network.run(position)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(network.value(program.output), expected, atol=1e-5)


def test_sizes_left_open_are_those_of_what_is_given():
    layers = [keras.Input((None,)), L.Embedding(20, 16), L.GlobalAveragePooling1D(), L.Dense(3)]
    program = Program(keras.Sequential(layers), (300,))
    assert program.size(program.calls[0].outputs) == 300 * 16


@keras.saving.register_keras_serializable("tests")
class Table(L.Layer):
    """Gives weights, whatever it is given."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return self.table + 0.0


def test_arrays_without_examples_are_refused():
    inputs = keras.Input((4, 6))
    with_table = keras.Model(inputs, L.Dense(3)(L.Add()([L.Dense(6)(inputs), Table()(inputs)])))
    with pytest.raises(ValueError, match=r"'table' gives an array of shape \(4, 6\)"):
        Program(with_table)
    rows = keras.ops.reshape(inputs, (-1, 6))
    folded = keras.ops.reshape(L.Dense(5, "relu")(rows), (-1, 20))
    a, b, x = pair(lambda: keras.models.clone_model(keras.Model(inputs, L.Dense(3)(folded))))
    with pytest.raises(ValueError, match=r"gives an array of shape \(320, 6\)"):
        mc.connect(a, b, mc.connectors.FeatureInterpolation(), (x, np.zeros(80, "int32")))
