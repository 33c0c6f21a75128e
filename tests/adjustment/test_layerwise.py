"""Layer by layer: against plain NumPy, and what holds for every network."""

import itertools

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.adjustment.program import Program
from mc_keras.adjustment.steps import steps_of
from mc_keras.connectors import (
    Arc,
    Butterfly,
    FeatureInterpolation,
    LearnedConnection,
    Linear,
    OptimalTransport,
    Repair,
    WeightAdjustment,
)
from mc_keras.flows import RealNVP
from mc_keras.units import match_units
from mc_keras.weight_space import WeightSpace
from tests.adjustment.networks import NETWORKS, branches, dense, heads, pair
from tests.contracts.flows import stirred
from tests.contracts.models import MODELS

# The flow is for rows of 4 inputs, a bias and 3 outputs.
BASES = (
    Linear(),
    Arc(),
    Arc(mean="none"),
    LearnedConnection(model=stirred(RealNVP(8, num_blocks=2, hidden=(6,)))),
)


def segments(path):
    return path.segments if isinstance(path, mc.paths.PiecewisePath) else [path]


def data_for(x):
    return x, np.zeros(len(x), "int32")


@pytest.mark.parametrize("target", ["start", "end", "blend"])
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_one_hidden_layer_is_the_papers_formula(base, target):
    a, b, x = pair(lambda: dense((9,)), examples=200)
    connector = WeightAdjustment(base, target=target, ridge=1e-3, num_breakpoints=5)
    path = mc.connect(a, b, connector, data_for(x))
    leg = segments(path)[1 if target == "end" else 0]
    (ka, ba, va, ca), (kb, bb, vb, cb) = a.get_weights(), b.get_weights()
    outputs = [
        np.maximum(x @ k + c, 0) @ v + d for k, c, v, d in (a.get_weights(), b.get_weights())
    ]
    learned = mc.connect(a, b, base) if isinstance(base, LearnedConnection) else None
    for t in (0.25, 0.5, 0.75):
        share = {"start": 0.0, "end": 1.0, "blend": t}[target]
        if learned:
            k, bias = learned(t)[:2]
        elif isinstance(base, Arc):
            c, s = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
            m, n = ((ka + kb) / 2).mean(1, keepdims=True), ((ba + bb) / 2).mean()
            m, n = (m, n) if base.mean == "units" else (0.0, 0.0)
            k, bias = m + c * (ka - m) + s * (kb - m), n + c * (ba - n) + s * (bb - n)
        else:
            k, bias = (1 - t) * ka + t * kb, (1 - t) * ba + t * bb
        h = np.c_[np.maximum(x @ k + bias, 0), np.ones(len(x))].astype("float64")
        goal = (1 - share) * outputs[0] + share * outputs[1]
        prior = np.r_[va, ca[None]]
        if target != "start":
            prior = (1 - t) * prior + t * np.r_[vb, cb[None]]
        strength = 1e-3 * np.trace(h.T @ h) / h.shape[1]
        system = h.T @ h + strength * np.eye(h.shape[1])
        expected = prior + np.linalg.solve(system, h.T @ (goal - h @ prior))
        found = leg(t)
        np.testing.assert_allclose(found[0], k, atol=1e-5)
        np.testing.assert_allclose(found[1], bias, atol=1e-5)
        np.testing.assert_allclose(np.r_[found[2], found[3][None]], expected, atol=1e-4)


@pytest.mark.parametrize("mean", ["units", "none"])
def test_with_one_hidden_layer_butterflies_go_along_the_whole_arc(mean):
    a, b, x = pair(lambda: dense((9,)))
    path = mc.connect(a, b, Butterfly(Arc(mean=mean)), data_for(x))
    for v, w in zip(path(0.3), mc.connect(a, b, Arc(mean=mean))(0.3), strict=True):
        np.testing.assert_allclose(v, w, atol=1e-6)


def test_the_output_layer_goes_to_the_end_on_a_line():
    a, b, x = pair(lambda: dense((9,)))
    path = mc.connect(a, b, WeightAdjustment(Arc(), target="start"), data_for(x))
    last = segments(path)[-1]
    for number in (2, 3):
        ends = (last(0.0)[number] + last(1.0)[number]) / 2
        np.testing.assert_allclose(last(0.5)[number], ends, atol=1e-6)


def test_the_pseudo_inverse_is_that_of_numpy():
    a, b, x = pair(lambda: dense((9,)), examples=200)
    connector = WeightAdjustment(pseudo_inverse=True, target="start", num_breakpoints=3)
    path = mc.connect(a, b, connector, data_for(x))
    first, leg, last = segments(path)
    (ka, ba, *_), (kb, bb, *_) = a.get_weights(), b.get_weights()
    goal = a.predict(x, verbose=0)
    for t in (0.0, 0.5, 1.0):
        h = np.maximum(x @ ((1 - t) * ka + t * kb) + (1 - t) * ba + t * bb, 0)
        expected = np.linalg.pinv(np.c_[h, np.ones(len(x))].astype("float64")) @ goal
        point = leg(t)
        np.testing.assert_allclose(np.r_[point[2], point[3][None]], expected, atol=1e-4)
    np.testing.assert_array_equal(first(1.0)[2], leg(0.0)[2])
    np.testing.assert_array_equal(last(0.0)[2], leg(1.0)[2])


@pytest.mark.parametrize(
    "connector",
    [
        WeightAdjustment(num_breakpoints=3),
        WeightAdjustment(target="start", num_breakpoints=3),
        WeightAdjustment(target="end", num_breakpoints=3, pseudo_inverse=True),
        WeightAdjustment(Arc(), num_breakpoints=2),
        Butterfly(),
        Butterfly(Arc()),
    ],
    ids=["lines", "start", "end", "arcs", "butterflies", "butterflies along arcs"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_segments_meet_and_reach_the_end(name, connector):
    a, b, x = pair(NETWORKS[name])
    path = mc.connect(a, b, connector, data_for(x))
    for one, other in itertools.pairwise(segments(path)):
        for v, w in zip(one(1.0), other(0.0), strict=True):
            np.testing.assert_array_equal(v, w)
        for v, w in zip(one.state(1.0), other.state(0.0), strict=True):
            np.testing.assert_array_equal(v, w)
    for v, w in zip(path.state(1.0), WeightSpace(b).read_state(), strict=True):
        np.testing.assert_array_equal(v, w)
    assert all(np.isfinite(array).all() for t in (0.2, 0.6, 0.9) for array in path(t))


def test_in_each_leg_two_layers_move():
    a, b, x = pair(lambda: dense((6, 5, 7)))
    path = mc.connect(a, b, WeightAdjustment(num_breakpoints=3, target="start"), data_for(x))
    moving = []
    for leg in segments(path):
        pairs = zip(leg(0.0), leg(0.3), strict=True)
        moving.append([i for i, (v, w) in enumerate(pairs) if not np.array_equal(v, w)])
    assert moving == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7]]
    butterflies = mc.connect(a, b, Butterfly(), data_for(x))
    assert len(segments(butterflies)) == 3


@pytest.mark.parametrize("connector", [WeightAdjustment(), Butterfly()], ids=lambda c: c.name)
def test_heads_go_over_in_one_leg_with_what_lies_behind_them(connector):
    def build():
        inputs = keras.Input((4,))
        one = keras.layers.Dense(3, name="head_a")(inputs)
        hidden = keras.layers.Dense(9, name="hidden")(inputs)
        two = keras.layers.Dense(3, name="head_b")(hidden)
        return keras.Model(inputs, keras.layers.LayerNormalization()(one + two))

    a, b, x = pair(build)
    path = mc.connect(a, b, connector, data_for(x))
    assert isinstance(path, mc.paths.AffinePath)
    for v, w in zip(path(0.0), path(0.3), strict=True):
        assert not np.array_equal(v, w)


def test_layers_that_read_a_stream_follow_those_that_write_it():
    model = NETWORKS["residual"]()
    program, space = Program(model), WeightSpace(model)
    names = [call.path for call in program.calls]
    steps = steps_of(program, space)
    assert {
        names[step.linear[0]]: [names[number] for number in step.consumers] for step in steps
    } == {
        "stem": ["inner", "shortcut", "after"],
        "inner": ["writer"],
        "writer": ["shortcut", "after"],
        "shortcut": ["head"],
        "after": ["head"],
        "head": [],
    }
    paths = [[space.variables[v].path for v in step.moved] for step in steps]
    assert paths[0] == ["stem/kernel", "stem/bias", "norm/gamma", "norm/beta"]


@pytest.mark.parametrize("build", [lambda: dense((24, 24)), heads], ids=["chain", "heads"])
def test_few_examples_keep_the_outputs_of_the_start(build):
    # Behind a layer of 24 units 12 examples are fitted exactly, as the paper has it.
    a, b, x = pair(build, examples=12)
    how = {"target": "start", "num_breakpoints": 5, "ridge": 1e-9}
    path = mc.connect(a, b, WeightAdjustment(**how), data_for(x))
    expected = a.predict(x, verbose=0)
    for leg in segments(path)[:-1]:
        for s in (0.25, 0.5, 0.75, 1.0):
            outputs = path.space(leg(s), x)
            np.testing.assert_allclose(outputs, expected, atol=2e-3)
    blend = mc.connect(a, b, WeightAdjustment(**how | {"target": "blend"}), data_for(x))
    middle = (expected + b.predict(x, verbose=0)) / 2
    np.testing.assert_allclose(path.space(segments(blend)[-1](0.5), x), middle, atol=2e-3)


def test_adjustment_is_better_than_none_on_the_training_data():
    a, b, x = pair(lambda: dense((9,)), examples=300)
    expected = a.predict(x, verbose=0)
    path = mc.connect(a, b, WeightAdjustment(target="start", num_breakpoints=5), data_for(x))
    line = mc.connect(a, b, Linear())
    for t in (0.25, 0.5, 0.75):
        plain = line(t)
        plain[2:] = WeightSpace(a).read()[2:]
        errors = [
            np.mean((path.space(p, x) - expected) ** 2) for p in (segments(path)[0](t), plain)
        ]
        assert errors[0] < errors[1]


@pytest.mark.parametrize(
    "name", ["adapted normalisation", "frozen statistics", "activation with weights"]
)
def test_the_last_layer_is_solved_for_the_features_of_the_path(name):
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    (a, x, y), (b, _, _) = (MODELS[name](generator) for _ in range(2))
    connector = WeightAdjustment(target="start", ridge=1e-12, num_breakpoints=3)
    path = mc.connect(a, b, connector, (x, y))
    middle = segments(path)[0].model(0.5)
    features = keras.Model(middle.inputs, middle.layers[-1].input).predict(x, verbose=0)
    rows = np.hstack([features, np.ones((len(x), 1))]).astype("float64")
    wanted = a.predict(x, verbose=0).astype("float64")
    found, best = middle.predict(x, verbose=0), rows @ np.linalg.lstsq(rows, wanted)[0]
    # Not the outputs: those of a unit that hardly ever fires are decided by the ridge.
    assert np.linalg.norm(found - wanted) < 1.01 * np.linalg.norm(best - wanted)


def test_the_order_of_the_ends_units_does_not_matter_to_transport():
    a, b, x = pair(lambda: dense((9,)))
    order = np.random.default_rng(0).permutation(9)
    k, c, v, d = b.get_weights()
    shuffled = dense((9,))
    shuffled.set_weights([k[:, order], c[order], v[order], d])
    connector = WeightAdjustment(OptimalTransport(end="permuted"), num_breakpoints=3)
    one, other = (mc.connect(a, m, connector, data_for(x)) for m in (b, shuffled))
    for t in (0.3, 0.8):
        for v, w in zip(one(t), other(t), strict=True):
            np.testing.assert_allclose(v, w, atol=1e-5)
    found = match_units(a, b).permutations[0]
    np.testing.assert_allclose(one(1.0)[0], b.get_weights()[0][:, found])


def test_bad_input_is_named():
    a, b, x = pair(NETWORKS["dense"])
    with pytest.raises(TypeError, match="received Slerp"):
        WeightAdjustment(mc.connectors.Slerp())
    with pytest.raises(ValueError, match="received target='middle'"):
        WeightAdjustment(target="middle")
    with pytest.raises(ValueError, match=r"received Arc\(rows='incoming'\)"):
        Butterfly(Arc(rows="incoming"))
    b.set_weights([w * 1e30 for w in b.get_weights()])
    with pytest.raises(ValueError, match="features of the layer .* are not finite"):
        mc.connect(a, b, WeightAdjustment(), data_for(x))
    layers = [keras.Input((4, 4, 2)), keras.layers.DepthwiseConv2D(4), keras.layers.Flatten()]
    c, d, x = pair(lambda: keras.Sequential(layers))
    with pytest.raises(ValueError, match="no Dense or convolution layer"):
        mc.connect(c, d, WeightAdjustment(), data_for(x))


@pytest.mark.parametrize(
    "connector",
    [WeightAdjustment(num_breakpoints=3), Butterfly(), FeatureInterpolation(num_knots=3), Repair()],
    ids=lambda connector: connector.name,
)
@pytest.mark.parametrize("name", ["convolutions", "residual"])
def test_the_way_to_itself_is_short_though_batch_norm_has_other_statistics_than_the_data(
    name, connector
):
    a, _, x = pair(NETWORKS[name])
    x = 3 * x + 1
    path = mc.connect(a, a, connector, data_for(x))
    for t in (0.1, 0.3, 0.5, 0.9):
        for found, start in zip(path(t), path(0.0), strict=True):
            np.testing.assert_allclose(found, start, atol=1e-5)


@pytest.mark.parametrize("base", [Linear(), Arc()], ids=lambda base: base.name)
def test_butterflies_of_branches_keep_the_outputs_after_each_leg(base):
    a, b, x = pair(branches)
    path = mc.connect(a, b, Butterfly(base), data_for(x))
    assert len(path.segments) == 2
    start = a.predict(x, verbose=0)
    off = np.sqrt(np.mean((path.space(path(0.5), x) - start) ** 2))
    assert off < 0.2 * np.std(start)


@pytest.mark.parametrize("connector", [WeightAdjustment(), Butterfly()], ids=["wa", "bfly"])
def test_layers_that_are_the_same_in_both_ends_take_no_leg(connector):
    a, b, x = pair(lambda: dense((6, 5, 7, 4)))
    b.set_weights([*a.get_weights()[:4], *b.get_weights()[4:]])
    path = mc.connect(a, b, connector, data_for(x))
    assert len(path.segments) == 2
    for t in np.linspace(0, 1, 9):
        for v, w in zip(path(t)[:4], a.get_weights()[:4], strict=True):
            np.testing.assert_array_equal(v, w)
    assert len({path(t)[4].tobytes() for t in (0, 0.125, 0.25, 0.375, 0.5)}) == 5
    same = mc.connect(a, a, connector, data_for(x))
    for t in np.linspace(0, 1, 9):
        for v, w in zip(same(t), a.get_weights(), strict=True):
            np.testing.assert_array_equal(v, w)
