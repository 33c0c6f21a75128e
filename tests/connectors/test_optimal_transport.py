import contextlib
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import mc_keras as mc
from mc_keras.cloning import clone
from mc_keras.connectors import Arc, OptimalTransport
from mc_keras.connectors.permutation_stage import SlotEditor, Slots, half_free, one_slot, swaps
from mc_keras.units import permute, permute_all, unit_groups
from mc_keras.weight_space import WeightSpace
from tests.networks import batch_norm_network, classification_data, dense_network, train
from tests.units.networks import randomize

L = keras.layers
STAGES = ["swaps", "one_slot", "half_free"]
QUICK = settings(max_examples=20, suppress_health_check=list(HealthCheck))


def reordered(model, seed=0):
    """A model with its units in random order, the same function."""
    rng = np.random.default_rng(seed)
    groups = unit_groups(model)
    permutations = [rng.permutation(group.size) for group in groups]
    space, result = WeightSpace(model), clone(model)
    WeightSpace(result).write(*permute_all(groups, permutations, space.read(), space.read_state()))
    return result


def stage_path(model, order, stage, group=0, simultaneous=1):
    """The path of one stage, from the reordered model back; outputs at free slots kept."""
    group = unit_groups(model)[group]
    space = WeightSpace(model)
    start = permute(group, order, space.read(), space.read_state())
    editor = SlotEditor(WeightSpace(clone(model)), *start)
    slots = Slots(group, editor)
    if stage == "swaps":
        swaps(slots, order, simultaneous)
    else:
        number = 1 if stage == "one_slot" else (group.size + 1) // 2
        free = np.sort(np.random.default_rng(group.size).permutation(group.size)[:number])
        compensation = np.random.default_rng(1).normal(size=(group.size - number, number))
        (one_slot if stage == "one_slot" else half_free)(slots, order, free, compensation)
    return editor.path()


def assert_ends_at(path, model):
    space = WeightSpace(model)
    for a, b in zip(path(1) + path.state(1), space.read() + space.read_state(), strict=True):
        np.testing.assert_array_equal(a, b)


ORDERS = st.permutations(list(range(9))).map(np.array)
WIDE = {"widths": (9,)}


@QUICK
@given(order=ORDERS, simultaneous=st.integers(1, 9))
def test_swaps(order, simultaneous):
    model = dense_network(**WIDE)
    path = stage_path(model, order, "swaps", simultaneous=simultaneous)
    assert_ends_at(path, model)
    seen, cycles = set(), 0
    for slot in range(9):
        cycles += slot not in seen
        while slot not in seen:
            seen.add(slot)
            slot = order[slot]
    fewest = -(-(9 - cycles) // simultaneous)
    assert fewest <= path.num_segments <= fewest + (simultaneous > 1)
    for t in path.corners:
        rows = unit_groups(model)[0].rows(path(t))
        original = unit_groups(model)[0].rows(WeightSpace(model).read())
        assert sorted(map(tuple, rows)) == sorted(map(tuple, original))


def test_the_swaps_that_matter_most_are_known(deep_pair):
    """Of those that are measured one is nearly as bad as the worst of all."""
    model, x = deep_pair[1], deep_pair[2][0]
    space = WeightSpace(model)
    for group in unit_groups(model):
        order = np.random.default_rng(0).permutation(group.size)
        start = permute(group, order, space.read(), space.read_state())
        editor = SlotEditor(WeightSpace(clone(model)), *start)
        bumps = swaps(Slots(group, editor), order)
        path, count = editor.path(), len(bumps)
        changes = [
            np.square(path.space(path((k + 0.5) / count), x) - space(space.read(), x)).mean()
            for k in range(count)
        ]
        assert max(np.array(changes)[np.argsort(bumps)[-2:]]) > 0.9 * max(changes)


@QUICK
@given(order=ORDERS, stage=st.sampled_from(STAGES[1:]))
def test_free_slots_leave_the_outputs_alone(order, stage):
    """Between the first and the last segment, at corners and in the middle of segments.

    The last segment goes back through the functions of the first.
    """
    model = dense_network(**WIDE)
    path = stage_path(model, order, stage)
    assert_ends_at(path, model)
    count = path.num_segments
    assert count <= (7 if stage == "half_free" else 2 * (9 + 4) + 3)
    x = classification_data((5,), 20)[0]
    expected = path.space(path(1 / count), x)
    for t in np.arange(2, 2 * count - 1) / (2 * count):
        np.testing.assert_allclose(path.space(path(t), x), expected, atol=1e-4)
    for t in np.array([0.2, 0.5, 0.9]) / count:
        there, back = (path.space(path(u), x) for u in (t, 1 - t))
        np.testing.assert_allclose(there, back, atol=1e-4)


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("group", [0, 1])
def test_free_slots_of_convolutions_with_batch_norm_and_skips(stage, group):
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(6, 3, padding="same")(inputs)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    y = keras.layers.ReLU()(keras.layers.Conv2D(8, 3, padding="same")(y))
    x = keras.layers.Add()([x, keras.layers.Conv2D(6, 3, padding="same")(y)])
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(x))
    model = randomize(keras.Model(inputs, keras.layers.Dense(3)(x)))
    size = unit_groups(model)[group].size
    path = stage_path(model, np.roll(np.arange(size), 2)[::-1].copy(), stage, group)
    assert_ends_at(path, model)
    count, x = path.num_segments, classification_data((6, 6, 2), 10)[0]
    expected = path.space(path(1 / count), x, state=path.state(1 / count))
    for t in np.unique(np.linspace(2, 2 * count - 2, 12).round()) / (2 * count):
        found = path.space(path(t), x, state=path.state(t))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stage", ["auto", *STAGES])
@pytest.mark.parametrize("build", [lambda: dense_network(widths=(9, 8)), batch_norm_network])
def test_to_the_same_network_reordered(build, stage):
    """Stage one does not move, and stage two leads to the end."""
    model = build()
    data = classification_data(model.input_shape[1:], 60)
    end = reordered(model)
    path = mc.connect(model, end, OptimalTransport(stage=stage), data=data)
    assert_ends_at(path, end)
    for t in (0.0, 0.2, 0.5):
        for a, b in zip(path(t), WeightSpace(model).read(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_recurrent_and_attention_networks_reach_their_end():
    def build(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4, 5))
        x = keras.layers.LSTM(6, return_sequences=True)(keras.layers.Dense(7)(inputs))
        x = x + keras.layers.MultiHeadAttention(3, 2)(x, x)
        x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
        return keras.Model(inputs, keras.layers.Dense(3)(x))

    a, b, data = build(0), build(1), classification_data((4, 5), 40)
    for options in ({"stage": "swaps"}, {"stage": "auto"}, {"stage": "one_slot"}):
        assert_ends_at(mc.connect(a, b, OptimalTransport(**options), data=data), b)


@pytest.mark.parametrize("match", ["weights", "activations", "both"])
def test_models_inside_of_wrappers(match):
    def build(seed):
        keras.utils.set_random_seed(seed)
        steps = keras.Sequential([keras.Input((5,)), L.Dense(7, "relu"), L.Dense(6, "tanh")])
        return keras.Sequential(
            [keras.Input((4, 5)), L.TimeDistributed(steps), L.Flatten(), L.Dense(3)]
        )

    a, b, data = build(0), build(1), classification_data((4, 5), 40)
    unseen = match == "activations"
    with pytest.warns(match="cannot be seen") if unseen else contextlib.nullcontext():
        path = mc.connect(a, b, OptimalTransport(match=match), data=data)
    assert_ends_at(path, b)


REDUCTIONS = {
    "layer norm": lambda x: L.LayerNormalization()(x),
    "group norm": lambda x: L.GroupNormalization(2)(x),
    "unit norm": lambda x: L.UnitNormalization()(x),
    "softmax": lambda x: L.Softmax()(x),
    "softmax as an activation": lambda x: L.Activation("softmax")(x),
    "mask": lambda x: L.Masking()(x),
    "mean": lambda x: x / (1 + keras.ops.mean(x * x, -1, keepdims=True)),
    "product of units": lambda x: L.Dot(1)([x, x]) + x,
}


def branched(reduction):
    inputs = keras.Input((5,))
    hidden = L.Dense(8, "tanh")(inputs)
    branches = [L.Dense(3)(reduction(hidden)), L.Dense(3)(hidden)]
    return randomize(keras.Model(inputs, L.Add()(branches)))


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_units_that_a_reduction_reads_are_swapped(name, stage):
    """A unit without outgoing weights would still be in the mean, the norm, the sum."""
    model = branched(REDUCTIONS[name])
    data, end = classification_data((5,), 60), reordered(model)
    found, expected = (
        mc.connect(model, end, OptimalTransport(stage=which), data=data)
        for which in (stage, "swaps")
    )
    assert_ends_at(found, end)
    for t in np.linspace(0.5, 1, 9):
        for a, b in zip(found(t), expected(t), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("given", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_evaluation_visits_the_highest_swap(given):
    """Not only a grid with a point for every tenth swap; without data it is found about."""
    data = classification_data((5,), 200)
    keras.utils.set_random_seed(0)
    layers = [L.Dense(64, "tanh"), L.LayerNormalization(), L.Dense(3)]
    model = train(keras.Sequential([keras.Input((5,)), *layers]), *data, epochs=60)
    path = mc.connect(model, reordered(model), "ot", data=data if given else None)
    assert 50 < len(path.corners) - 1 < 70
    coarse, fine = (
        mc.evaluate_path(path, {"train": data}, count, verbose=0) for count in (11, 2001)
    )
    grid = coarse["train_loss"][np.isclose(coarse.t * 10 % 1, 0)]
    assert max(grid) < 0.9 * fine.worst("train_loss")
    assert coarse.worst("train_loss") > (0.98 if given else 0.6) * fine.worst("train_loss")


def on_a_stream(make):
    """A network with a stream that `make` gives a layer for, which reads it and adds to it."""

    def build():
        inputs = keras.Input((6, 5))
        x = L.Dense(8)(inputs)
        return keras.Model(inputs, L.Dense(3)(L.Flatten()(x + make()(x))))

    return build


def called_twice():
    inputs, layer = keras.Input((5,)), L.Dense(8, "tanh")
    x = L.Dense(8)(inputs)
    return keras.Model(inputs, L.Dense(3)(layer(layer(x) + x)))


FREE = {
    "nothing": lambda: branched(lambda x: x),
    "norm of each unit alone": lambda: branched(lambda x: L.GroupNormalization(8)(x)),
    "mean over space": lambda: keras.Sequential(
        [keras.Input((4, 4, 5)), L.Conv2D(8, 3), L.GlobalAveragePooling2D(), L.Dense(3)]
    ),
    "kernel that scales units and reads others": lambda: keras.Sequential(
        [
            keras.Input((5,)),
            L.EinsumDense("ab,bcd->acd", (4, 6), bias_axes="cd"),
            L.EinsumDense("acd,cde->ace", (4, 7)),
            L.EinsumDense("ace,ce->ae", 7),
        ]
    ),
    "dense layer on a stream": on_a_stream(lambda: L.Dense(8, "relu")),
    "convolution on a stream": on_a_stream(lambda: L.Conv1D(8, 3, padding="same")),
    "recurrent layer on a stream": on_a_stream(lambda: L.GRU(8, return_sequences=True)),
    "recurrent layer": lambda: keras.Sequential(
        [keras.Input((4, 5)), L.LSTM(7), L.Dense(6, "tanh"), L.Dense(3)]
    ),
    "layer called twice": called_twice,
}


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("name", FREE)
def test_moves_through_free_slots_are_free(name, stage):
    model = randomize(FREE[name]())
    x = classification_data(model.input_shape[1:], 20)[0]
    for number, group in enumerate(unit_groups(model)):
        order = np.roll(np.arange(group.size), 1)
        assert not group.reduced
        path = stage_path(model, order, stage, number)
        assert_ends_at(path, model)
        expected = path.space(path(1 / path.num_segments), x)
        for t in np.linspace(1.5, path.num_segments - 1.5, 9) / path.num_segments:
            np.testing.assert_allclose(path.space(path(t), x), expected, atol=1e-4)


@keras.saving.register_keras_serializable("tests")
class Sorted(L.Layer):
    """A layer that no unit rule covers."""

    def call(self, x):
        return keras.ops.sort(x, axis=-1)


def test_layers_without_a_rule():
    def build(seed):
        return randomize(
            keras.Sequential([keras.Input((5,)), L.Dense(6), L.Dense(7), Sorted(), L.Dense(3)]),
            seed,
        )

    a, b, data = build(0), build(1), classification_data((5,), 20)
    assert mc.connectors.Arc().applies_to(a)
    for name in ("ot", "alignment", "ot+repair", "ot+bfly", "ot+wa", "best"):
        assert not mc.connectors.by_name(name).applies_to(a)
    with pytest.raises(ValueError, match="No unit rule covers"):
        mc.connect(a, b, "ot")
    connector = OptimalTransport(on_unknown="end")
    assert connector.applies_to(a)
    path = mc.connect(a, b, connector, data=data)
    assert_ends_at(path, b)
    assert len(path.knots) == 3


def test_matching_by_incoming_weights(dense_pair):
    """Against the solution of the assignment problem on the matrix `[kernel; bias]`."""
    start, end, _ = dense_pair
    weights = [model.get_weights() for model in (start, end)]
    rows = [np.vstack([kernel, bias]).T for kernel, bias, *_ in weights]
    costs = np.sum(np.square(rows[0][:, None] - rows[1]), -1)
    expected = linear_sum_assignment(costs)[1]
    path = mc.connect(start, end, OptimalTransport(match="incoming", end="permuted"))
    for found, original, axis in zip(path(1)[:3], end.get_weights(), (1, 0, 0), strict=False):
        np.testing.assert_array_equal(found, original.take(expected, axis))
    assert not np.array_equal(path(1)[0], mc.connect(start, end, "alignment")(1)[0])


def test_progress_shows_every_long_step(dense_pair, capsys):
    start, end, data = dense_pair
    mc.connect(start, end, OptimalTransport(match="both"), data=data, verbose=1)
    shown = capsys.readouterr().err
    for label in ("activations", "matching units, sweep 1", "measuring the loss", "reordering"):
        assert f"{label} [" in shown
    mc.connect(start, end, OptimalTransport(match="both"), data=data)
    assert not capsys.readouterr().err


def test_permuted_end_is_the_same_function(dense_pair):
    start, end, (x, _) = dense_pair
    path = mc.connect(start, end, OptimalTransport(end="permuted", along=Arc()))
    np.testing.assert_allclose(path.model(1)(x), end(x), atol=1e-5)
    (group,) = unit_groups(end)
    original = WeightSpace(end).read()
    assert not np.array_equal(path(1)[0], original[0])
    assert sorted(map(tuple, group.rows(path(1)))) == sorted(map(tuple, group.rows(original)))


def test_stage_one_is_the_nearest_reordering(dense_pair):
    start, end, _ = dense_pair
    path = mc.connect(start, end, "ot")
    straight = mc.connect(start, end)
    assert mc.paths.distance(path(0), path(0.5)) < mc.paths.distance(straight(0), straight(1))


def test_equal_networks_need_no_second_stage(dense_pair):
    path = mc.connect(dense_pair[0], dense_pair[0], "ot")
    assert path.knots == (0.0, 1.0)


OPENED_EVALUATED_SAVED = """
import sys
import keras
import numpy as np
import mc_keras as mc

def memory(name):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name))

x = np.random.default_rng(0).normal(size=(200, 3072)).astype("float32")
y = np.arange(200) % 10
network = keras.Sequential([
    keras.Input((3072,)), keras.layers.Dense(2000, "relu"), keras.layers.Dense(10)
])
network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
network.evaluate(x, y, verbose=0)
before = memory("VmRSS")
path = mc.load_path(sys.argv[1])
mc.evaluate_path(path, {"test": (x, y)}, num_points=61, verbose=0)
path.save(sys.argv[1])
print((memory("VmHWM") - before) / sum(w.nbytes for w in network.get_weights()))
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.slow
def test_a_wide_network_costs_little(tmp_path):
    """Opening, evaluating and saving a path of thousands of segments, in networks of memory.

    The most that a process held, after a network was evaluated in it: by the operating system, as
    much of it is TensorFlow's.
    """
    model = dense_network(widths=(2000,), inputs=3072, outputs=10)
    path = mc.connect(model, reordered(model), "ot")
    assert len(path.corners) > 1900
    assert len(path.knots) == 6
    path.save(tmp_path / "a.path")
    command = [sys.executable, "-c", OPENED_EVALUATED_SAVED, str(tmp_path / "a.path")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(result.stdout) < 10


def test_stages_that_need_data(dense_pair):
    with pytest.raises(ValueError, match="needs data"):
        mc.connect(*dense_pair[:2], OptimalTransport(stage="one_slot"))
