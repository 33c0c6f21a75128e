"""All layers at once: features between those of the ends."""

import functools
import warnings

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from keras import layers as L

import mc_keras as mc
from mc_keras.adjustment import LeastSquares
from mc_keras.adjustment.networks import Network
from mc_keras.adjustment.program import Program
from mc_keras.connectors import Arc, FeatureInterpolation, Linear, Repair, WeightAdjustment
from mc_keras.weight_space import WeightSpace
from tests.adjustment.networks import NETWORKS, backbone, dense, heads, pair, shared
from tests.units.networks import random_inputs, randomize
from tests.units.random_graphs import models


def data_for(x):
    return x, np.zeros(len(x), "int32")


def outputs(space, point, x):
    """What a network gives with batch-norm statistics measured on the inputs."""
    return np.asarray(space(point, x, state=mc.batch_norm.estimate_batch_norm(space, point, x)))


@pytest.mark.parametrize("name", NETWORKS)
def test_few_examples_have_interpolated_outputs(name):
    a, b, x = pair(NETWORKS[name], examples=4)
    connector = FeatureInterpolation(num_knots=3, ridge=1e-10, num_positions=1000)
    path = mc.connect(a, b, connector, data_for(x))
    ends = [outputs(path.space, WeightSpace(model).read(), x) for model in (a, b)]
    np.testing.assert_allclose(outputs(path.space, path(0.5), x), sum(ends) / 2, atol=5e-3)


def test_the_first_layer_stays_on_the_base():
    a, b, x = pair(NETWORKS["convolutions"])
    for base in (Linear(), Arc()):
        path = mc.connect(a, b, FeatureInterpolation(base, num_knots=4), data_for(x))
        expected = mc.connect(a, b, base)
        for t in (0.2, 1 / 3, 0.9):
            np.testing.assert_array_equal(path(t)[0], expected(t)[0])
            assert not np.allclose(path(t)[2], expected(t)[2], atol=1e-3)


def test_each_layer_is_the_least_squares_solution_on_the_features_so_far():
    a, b, x = pair(NETWORKS["dense"], examples=300)
    path = mc.connect(a, b, FeatureInterpolation(num_knots=3, ridge=1e-11), data_for(x))
    point = path(0.5)
    h, za, zb = x, x, x
    for layer in range(3):
        k, c = point[2 * layer : 2 * layer + 2]
        za, zb = (
            z @ m.get_weights()[2 * layer] + m.get_weights()[2 * layer + 1]
            for z, m in ((za, a), (zb, b))
        )
        rows = np.c_[h, np.ones(len(h))].astype("float64")
        expected = np.linalg.lstsq(rows, (za + zb) / 2, rcond=None)[0]
        np.testing.assert_allclose(np.r_[k, c[None]], expected, atol=2e-3)
        h, za, zb = (np.maximum(z, 0) for z in (h @ k + c, za, zb))


@pytest.mark.parametrize("name", ["dense", "convolutions", "residual"])
def test_rescaled_units_have_the_moments_between_those_of_the_ends(name):
    a, b, x = pair(NETWORKS[name], examples=200)
    connector = Repair(num_knots=5, num_positions=1000)
    path = mc.connect(a, b, connector, data_for(x))
    program = Program(path.space.model)
    spaces = WeightSpace(a), WeightSpace(b)
    states = [(s.read(), s.read_state()) for s in spaces]
    networks = [
        Network(program, path.space, point, state, {program.input: x})
        for point, state in (*states, (path(0.25), path.state(0.25)))
    ]
    for number, call in enumerate(program.calls):
        for network in networks:
            network.run(number)
        if number not in program.linear or call.outputs[0] == program.output:
            continue
        if call.op.activation is not keras.activations.linear:
            continue
        outputs = [n.value(call.outputs[0]).reshape(-1, call.op.kernel.shape[-1]) for n in networks]
        deviations = [o.std(0) for o in outputs]
        np.testing.assert_allclose(
            deviations[2], 0.75 * deviations[0] + 0.25 * deviations[1], rtol=1e-3
        )
        if call.op.use_bias:
            means = [o.mean(0) for o in outputs]
            np.testing.assert_allclose(means[2], 0.75 * means[0] + 0.25 * means[1], atol=1e-3)


def test_shared_layers_stay_on_the_base_and_others_make_good():
    a, b, x = pair(shared)
    data = data_for(x)
    path = mc.connect(a, b, FeatureInterpolation(num_knots=5), data)
    line = mc.connect(a, b, "linear")
    names = [v.path for v in path.variables]
    for name, array, base in zip(names, path(0.4), line(0.4), strict=True):
        assert ("head" in name) != np.allclose(array, base, atol=1e-4)
    middle = sum(outputs(path.space, WeightSpace(model).read(), x) for model in (a, b)) / 2
    found = [outputs(p.space, p(0.5), x) for p in (path, line)]
    errors = [np.mean((values - middle) ** 2) for values in found]
    assert errors[0] < 0.5 * errors[1]
    assert mc.connectors.Best().applies_to(a)
    with pytest.raises(ValueError, match="called more than once"):
        mc.connect(a, b, WeightAdjustment(), data)


def test_solutions_for_double_precision_are_double():
    def build():
        layers = [
            keras.layers.Dense(6, "relu", dtype="float64"),
            keras.layers.Dense(3, dtype="float64"),
        ]
        return keras.Sequential([keras.Input((4,), dtype="float64"), *layers])

    a, b, x = pair(build, examples=5)
    middle = (a.predict(x, verbose=0) + b.predict(x, verbose=0)) / 2
    for connector in (FeatureInterpolation, WeightAdjustment):
        path = mc.connect(a, b, connector(ridge=1e-11), data_for(x))
        np.testing.assert_allclose(path.space(path(0.5), x), middle, atol=1e-9)


@pytest.mark.parametrize("after", [keras.layers.Softmax(), keras.layers.Reshape((3, 1))])
def test_the_output_layer_is_not_rescaled_whatever_comes_after_it(after):
    def build():
        layers = [keras.layers.Dense(6, "relu"), keras.layers.Dense(3), after]
        return keras.Sequential([keras.Input((4,)), *layers])

    a, b, x = pair(build)
    path = mc.connect(a, b, Repair(num_knots=3), (x, np.zeros((len(x), 3, 1), "float32")))
    line = mc.connect(a, b, "linear")(0.5)
    for number, (array, base) in enumerate(zip(path(0.5), line, strict=True)):
        assert np.allclose(array, base, atol=1e-6) == (number >= 2)


@pytest.mark.parametrize(
    "connector",
    [FeatureInterpolation(num_knots=3), Repair(num_knots=3), WeightAdjustment(num_breakpoints=2)],
    ids=lambda connector: connector.name,
)
def test_bytes_are_cast_as_keras_casts_them(connector):
    def build():
        inputs = keras.Input((4, 4, 2))
        x = keras.layers.Conv2D(3, 3, activation="relu")(inputs - 128)
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))

    a, b, _ = pair(build)
    x = np.random.default_rng(0).integers(0, 256, (90, 4, 4, 2), dtype="uint8")
    points = [mc.connect(a, b, connector, data_for(given))(0.5) for given in (x, x * 1.0)]
    for v, w in zip(*points, strict=True):
        np.testing.assert_array_equal(v, w)


def test_staggered_layers_move_one_after_the_other():
    a, b, x = pair(lambda: dense((6, 5, 7)), examples=300)
    connector = FeatureInterpolation(stagger=1.0, num_knots=9)
    path = mc.connect(a, b, connector, data_for(x))
    ends = [WeightSpace(m).read() for m in (a, b)]
    for t, done in ((0.25, 1), (0.5, 2), (0.75, 3)):
        point = path(t)
        for number in range(2 * done):
            np.testing.assert_array_equal(point[number], ends[1][number])
        # What is not done yet gives what it gave in the start, as far as that can be.
        hidden = keras.Model(a.inputs, a.layers[done].output).predict(x, verbose=0)
        moved = path.model(t)
        found = keras.Model(moved.inputs, moved.layers[done].output).predict(x, verbose=0)
        plain = path.model(t)
        plain.layers[done].set_weights(a.layers[done].get_weights())
        worse = keras.Model(plain.inputs, plain.layers[done].output).predict(x, verbose=0)
        assert np.mean((found - hidden) ** 2) < np.mean((worse - hidden) ** 2)
    np.testing.assert_allclose(path(0.125)[0], (ends[0][0] + ends[1][0]) / 2, atol=1e-6)
    for t, done in ((0.37, 1), (0.71, 2), (0.83, 3)):  # between positions that were solved for
        for number in range(2 * done):
            np.testing.assert_array_equal(path(t)[number], ends[1][number])


@pytest.mark.parametrize("name", [*NETWORKS, "shared", "frozen"])
def test_layers_that_are_done_are_neither_solved_for_nor_run_again(name, monkeypatch):
    a, b, x = pair({**NETWORKS, "shared": shared, "frozen": NETWORKS["residual"]}[name])
    for model in (a, b) if name == "frozen" else ():
        model.get_layer("norm").trainable = False  # with moments of its own in each network
    connector = FeatureInterpolation(stagger=0.7, num_knots=9)
    solve, run, times, runs = LeastSquares.__call__, Network.run, [], []

    def counted_solve(self, call, network, goal, t):
        times.append(t)
        return solve(self, call, network, goal, t)

    def counted_run(self, position):
        runs.append(position)
        run(self, position)

    monkeypatch.setattr(LeastSquares, "__call__", counted_solve)
    monkeypatch.setattr(Network, "run", counted_run)
    few = mc.connect(a, b, connector, data_for(x))
    count, count_of_runs = len(times), len(runs)
    monkeypatch.setattr("mc_keras.adjustment.sequential._agrees", lambda *_: False)
    every = mc.connect(a, b, connector, data_for(x))
    # Behind statistics that are the end's only at the end, all layers have something to make good;
    # heads, and what comes behind a shared layer, are done last.
    assert (count < len(times) - count) == (name not in ("heads", "shared", "frozen"))
    assert count_of_runs < len(runs) - count_of_runs
    for t in np.linspace(0, 1, 17):
        for v, w in zip(few(t), every(t), strict=True):
            np.testing.assert_allclose(v, w, atol=1e-4)
    if name == "dense":
        # One array for the last knot between the ends, where the second layer is done, and the end.
        assert few.control_points[-3][2] is few.control_points[-1][2]


@pytest.mark.parametrize(
    "name", ["residual", pytest.param("post-activation", marks=pytest.mark.slow)]
)
def test_what_was_added_to_a_stream_wrongly_is_made_good(name, monkeypatch):
    a, b, x = pair(NETWORKS[name], examples=200)
    connector = FeatureInterpolation(num_knots=3, num_positions=1000)
    # What the second stream begins with, through the shortcut, is not exact.
    last = [layer.name for layer in a.layers if isinstance(layer, keras.layers.Add)][1]

    def error():
        path = mc.connect(a, b, connector, data_for(x))
        start, end, made = (
            keras.Model(m.inputs, m.get_layer(last).output).predict(x, verbose=0)
            for m in (path.model(t, batch_norm_data=x) for t in (0.0, 1.0, 0.5))
        )
        return np.mean((made - (start + end) / 2) ** 2)

    good = error()
    monkeypatch.setattr(Program, "beside", lambda self, number: ())
    assert good < 0.99 * error()


def test_staggered_heads_turn_together():
    a, b, x = pair(heads, examples=12)
    connector = FeatureInterpolation(stagger=1.0, num_knots=7, ridge=1e-10)
    path = mc.connect(a, b, connector, data_for(x))
    start, end = (m.predict(x, verbose=0) for m in (a, b))
    for t, share in ((1 / 3, 0.0), (2 / 3, 0.0), (5 / 6, 0.5)):
        expected = (1 - share) * start + share * end
        np.testing.assert_allclose(path.space(path(t), x), expected, atol=2e-3)


@pytest.mark.parametrize("name", ["convolutions", "residual", "nested"])
@pytest.mark.parametrize(
    "connector",
    [
        FeatureInterpolation(num_knots=4),
        FeatureInterpolation(num_knots=5, stagger=0.5),
        Repair(num_knots=4),
        WeightAdjustment(num_breakpoints=3),
    ],
    ids=["features", "staggered features", "repair", "wa"],
)
def test_activations_that_are_not_held_are_in_files_or_computed_again(name, connector, monkeypatch):
    a, b, x = pair(NETWORKS[name], examples=600)
    connector.num_examples = 600
    held = mc.connect(a, b, connector, data_for(x))
    for module in ("sequential", "layerwise"):
        monkeypatch.setattr(f"mc_keras.adjustment.{module}.BYTES", 0)
        monkeypatch.setattr(f"mc_keras.adjustment.{module}.ROWS_BYTES", 0)
    monkeypatch.setattr("mc_keras.adjustment.networks.BYTES", 0)
    for room in (2**40, 0):
        monkeypatch.setattr("mc_keras.adjustment.networks.room_for_files", lambda r=room: r)
        again = mc.connect(a, b, connector, data_for(x))
        for t in (0.2, 0.5, 0.8):
            for v, w in zip(held(t), again(t), strict=True):
                np.testing.assert_allclose(v, w, atol=1e-4)


@pytest.mark.parametrize("method", ["best", "linear+wa"])
def test_too_few_examples_are_a_warning_of_the_line_that_asked(method):
    a, b, x = pair(lambda: dense((30, 20)), examples=24)
    with pytest.warns(UserWarning, match="from 24 rows, fewer than its 31 features") as warned:
        mc.connect(a, b, method, data_for(x))
    few = [w for w in warned if "fewer" in str(w.message)]
    assert [(w.filename, "(and" in str(w.message)) for w in few] == [(__file__, False)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*fewer than")
        mc.connect(a, b, "ot+repair", data_for(x))


@pytest.mark.parametrize("method", ["best", "linear+wa"])
def test_examples_left_out_are_a_warning_of_the_line_that_asked(method, monkeypatch):
    a, b, x = pair(lambda: dense((5,)), examples=600)
    connector = mc.connectors.by_name(method)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Layers are solved for on")
        mc.connect(a, b, connector, data_for(x))
        monkeypatch.setattr("mc_keras.adjustment.networks.BYTES", 1)
        mc.connect(a, b, Repair(num_examples=550), data_for(x))
    with pytest.warns(UserWarning, match="on 500 of 600 examples") as warned:
        mc.connect(a, b, connector, data_for(x))
    assert [w.filename for w in warned if "500 of 600" in str(w.message)] == [__file__]


def test_bad_input_is_named():
    a, b, x = pair(lambda: dense((5,)))
    with pytest.raises(TypeError, match=r"use OptimalTransport\(along=Repair\(\)\)"):
        Repair(mc.connectors.OptimalTransport())
    with pytest.raises(ValueError, match="stagger from 0 to 1"):
        FeatureInterpolation(Arc(), stagger=0.5)
    with pytest.raises(ValueError, match="method needs data"):
        mc.connect(a, b, "best")
    anything = keras.layers.Lambda(
        lambda x: x[:, : keras.ops.cast(keras.ops.max(x), "int32") + 1], output_shape=(None, 4)
    )
    unsized = keras.Sequential([keras.Input((5, 4)), anything, keras.layers.Dense(3, name="scan")])
    assert not FeatureInterpolation().applies_to(unsized)
    with pytest.raises(ValueError, match="'scan' takes inputs of shape .* depends on the values"):
        mc.connect(unsized, unsized, FeatureInterpolation(), data_for(np.zeros((9, 5, 4))))
    b.set_weights([w * 1e30 for w in b.get_weights()])
    for connector in (FeatureInterpolation(), Repair()):
        with pytest.raises(ValueError, match="features of the layer .* are not finite"):
            mc.connect(a, b, connector, data_for(x * 1e9))


def test_sizes_that_a_layer_leaves_open_of_itself_are_those_of_its_inputs():
    def build():
        return keras.Sequential(
            [
                keras.Input((8, 5)),
                keras.layers.EinsumDense("abc,cd->abd", (None, 6), activation="relu"),
                keras.layers.Dense(7, "relu"),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(3),
            ]
        )

    a, b, x = pair(build)
    for method in ("ot+wa", "ot+repair", "best", "arc+bfly"):
        path = mc.connect(a, b, method, data_for(x))
        np.testing.assert_allclose(path.model(1)(x), b(x), atol=1e-5)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=25)
@given(model=models())
def test_random_models(model):
    keras.backend.clear_session(free_memory=False)
    outputs = [
        keras.layers.Flatten(name=f"output_{number}")(tensor)
        for number, tensor in enumerate(model.outputs)
    ]
    one = keras.Model(model.input, keras.layers.Concatenate(name="outputs")(outputs))
    program = Program(one)
    assume(program.linear)
    randomize(one)
    other = keras.models.clone_model(one)
    randomize(other)
    x = random_inputs(one)[0].astype("float32")
    data = x, np.zeros((len(x), *one.output_shape[1:]), "float32")
    for connector in (FeatureInterpolation(num_knots=3), WeightAdjustment(num_breakpoints=2)):
        if not connector.applies_to(one):
            assert program.shared
            continue
        path = mc.connect(one, other, connector, data)
        assert all(np.isfinite(array).all() for array in path(0.4))


@pytest.mark.parametrize(
    "connector",
    [
        FeatureInterpolation(num_knots=4),
        WeightAdjustment(num_breakpoints=3),
        pytest.param(mc.connectors.Best(), marks=pytest.mark.slow),
    ],
    ids=["features", "wa", "best"],
)
def test_sizes_that_a_model_leaves_open(connector):
    """They are those of what it is given: nested, and in the network itself."""
    a, b, x = pair(backbone)
    expected = mc.connect(a, b, connector, data_for(x))

    def alone(size):
        return keras.Sequential([keras.Input((*size, 3)), *backbone().layers[1].layers, L.Dense(3)])

    for build in (lambda: backbone((None, None)), lambda: alone((None, None))):
        models = build(), build()
        for model, fixed in zip(models, (a, b), strict=True):
            model.set_weights(fixed.get_weights())
        assert connector.applies_to(models[0])
        path = mc.connect(*models, connector, data_for(x))
        for t in (0.2, 0.5, 0.8):
            for v, w in zip(path(t), expected(t), strict=True):
                np.testing.assert_allclose(v, w, atol=1e-5)


def test_what_batch_norm_gives_is_fitted():
    """A network and the same one with units that read the opposite, and a batch norm that turns
    them round: between what the units read of both, which cancels, there would be nothing.
    """

    def build():
        norm = L.BatchNormalization()
        layers = [L.Dense(8, "relu"), L.Dense(8, name="read"), norm, L.ReLU(), L.Dense(3)]
        return keras.Sequential([keras.Input((4,)), *layers])

    a, b, x = pair(build, examples=300)
    b.set_weights(a.get_weights())
    read, norm = b.layers[1:3]
    for variable in (read.kernel, read.bias, norm.gamma):
        variable.assign(-variable)
    path = mc.connect(a, b, FeatureInterpolation(num_knots=3, ridge=1e-10), data_for(x))
    end = outputs(path.space, path(0.0), x)
    np.testing.assert_allclose(outputs(path.space, path(0.5), x), end, atol=1e-3 * np.ptp(end))


def normed(norm):
    """One place for each example, so that batch norm over places and examples is the same."""
    layers = [L.Dense(12, "relu"), L.Dense(12), norm(), L.ReLU(), L.Dense(12, "relu")]
    return keras.Sequential([keras.Input((1, 4)), *layers, L.Flatten(), L.Dense(3)])


def test_batch_norm_in_other_layers_is_that_of_the_network_on_the_way():
    connector = FeatureInterpolation(num_knots=5)
    # One that is met by itself would be solved for, if it had a scale.
    without_scale = functools.partial(L.BatchNormalization, scale=False)
    kinds = (without_scale, lambda: L.TimeDistributed(without_scale()))
    pairs = [pair(lambda kind=kind: normed(kind), examples=300) for kind in kinds]
    for inside, plain in zip(pairs[1][:2], pairs[0][:2], strict=True):
        inside.set_weights(plain.get_weights())
    plain, inside = (mc.connect(a, b, connector, data_for(x)) for a, b, x in pairs)
    for t in (0.25, 0.5, 0.75):
        first, second = (outputs(path.space, path(t), pairs[0][2]) for path in (plain, inside))
        np.testing.assert_allclose(first, second, atol=0.02 * np.std(first))


def test_layers_that_are_the_same_in_both_ends_take_none_of_the_way():
    a, b, x = pair(lambda: dense((6, 5, 7, 4)))
    b.set_weights([*a.get_weights()[:6], *b.get_weights()[6:]])
    connector = FeatureInterpolation(stagger=1.0, num_knots=9)
    path = mc.connect(a, b, connector, data_for(x))
    # Two layers differ: each takes half.
    np.testing.assert_array_equal(path(0.5)[6], b.get_weights()[6])
    assert not np.allclose(path(0.25)[6], a.get_weights()[6])
    assert not np.allclose(path(0.25)[6], b.get_weights()[6])
    for v, w in zip(path(0.3)[:6], a.get_weights()[:6], strict=True):
        np.testing.assert_allclose(v, w, atol=1e-6)


@pytest.mark.parametrize(
    "connector", [FeatureInterpolation(), WeightAdjustment()], ids=["features", "wa"]
)
def test_what_memory_could_not_hold_is_told_beforehand(connector, monkeypatch):
    a, b, x = pair(lambda: dense((1500,)), examples=800)
    monkeypatch.setattr("mc_keras.adjustment.linear_layers.MOST_BYTES", 10**7)
    with pytest.raises(ValueError, match="1,501 features.* num_examples=750 or fewer"):
        mc.connect(a, b, connector, data_for(x))
    with pytest.warns(UserWarning, match="fewer than its 1,501 features"):
        mc.connect(a, b, connector.replace(num_examples=750), data_for(x))
    # The first layer is not solved for, however much it reads.
    monkeypatch.setattr("mc_keras.adjustment.linear_layers.MOST_BYTES", 8 * 10**2)
    a, b, x = pair(lambda: keras.Sequential([keras.Input((40,)), L.Dense(6), L.Dense(3)]))
    mc.connect(a, b, connector, data_for(x))
