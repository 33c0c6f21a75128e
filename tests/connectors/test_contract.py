"""What every connection method promises."""

import json

import keras
import ml_dtypes
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.connectors import (
    Arc,
    Best,
    CurveFitting,
    FeatureInterpolation,
    OptimalTransport,
    Repair,
    WeightAdjustment,
)
from mc_keras.weight_space import WeightSpace
from tests.adjustment import networks
from tests.contracts.connectors import BAD_OPTIONS, CONNECTORS
from tests.contracts.paths import tensor_point
from tests.networks import classification_data


@pytest.fixture(params=["dense_pair", "deep_pair", "batch_norm_pair"])
def pair(request):
    return request.getfixturevalue(request.param)


SLOW = {"bezier of order 3", "polychain"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CONNECTORS
    ]
)
def connector(request):
    return CONNECTORS[request.param]


def test_contract(connector, pair):
    start, end, data = pair
    if not connector.applies_to(start):
        return
    before = [WeightSpace(m).read() for m in (start, end)]
    path = mc.connect(start, end, connector, data=data)
    for model, weights, t in zip((start, end), before, (0, 1), strict=True):
        for a, b, c in zip(WeightSpace(model).read(), weights, path(t), strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(c, b)
    again = mc.connect(start, end, connector, data=data)
    for a, b in zip(path(0.3), again(0.3), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
    for a, b in zip(path(0.5 - 1e-6), path(0.5 + 1e-6), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert path.method == connector.name
    json.dumps(path.provenance, allow_nan=False)
    assert path.provenance["connector"]["class"] == type(connector).__name__


def test_reversal(connector, pair):
    if not connector.applies_to(pair[0]):
        return
    if connector.needs_data or connector.uses_data:
        return
    there = mc.connect(*pair[:2], connector)
    back = mc.connect(*pair[1::-1], connector)
    for a, b in zip(there(0.3), back(0.7), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.fixture(
    params=["bfloat16", *(pytest.param(n, marks=pytest.mark.slow) for n in ("float64", "float16"))]
)
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


PRECISE = ["slerp", "optimal transport by swaps along an arc", "butterflies along arcs"]
PRECISE += ["weight adjustment along an arc", "rescaling", "feature interpolation", "bezier"]


@pytest.mark.parametrize("name", PRECISE)
def test_networks_of_any_precision(name, precision, tmp_path):
    a, b, x = networks.pair(networks.NETWORKS["convolutions"])
    path = mc.connect(a, b, CONNECTORS[name], data=(x, np.arange(len(x)) % 3))
    path.save(tmp_path / "a.path")
    again = mc.load_path(tmp_path / "a.path")
    point, state = tensor_point(path, 0.125)
    pairs = zip(path(0.125) + path.state(0.125), point + state, strict=True)
    close = 16 * float(ml_dtypes.finfo(precision).eps)
    for array, tensor in pairs:
        assert array.dtype == precision
        assert np.isfinite(array).all()
        np.testing.assert_allclose(
            *(np.asarray(v, "float64") for v in (array, tensor)), rtol=close, atol=close
        )
    for v, w in zip(path(0.3), again(0.3), strict=True):
        np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize("name", mc.connectors.names())
def test_a_name_is_a_shorthand(name):
    connector = mc.connectors.by_name(name)
    assert connector.name == name
    assert isinstance(connector, mc.connectors.Connector)


@pytest.mark.parametrize(
    ("typed", "meant"), [("arcc", "arc"), ("Bezier", "bezier"), ("polygonchain", "polychain")]
)
def test_the_nearest_name_is_suggested(dense_pair, typed, meant):
    with pytest.raises(ValueError, match=f"no method '{typed}': did you mean '{meant}'"):
        mc.connect(*dense_pair[:2], typed)


def test_methods_that_go_layer_by_layer_leave_tied_layers_to_others(dense_pair):
    tied = keras.layers.Dense(5)
    inputs = keras.Input((5,))
    network = keras.Model(inputs, keras.layers.Dense(3)(tied(tied(inputs))))
    names = [n for n in mc.connectors.names() if "_flow" not in n and "_bijection" not in n]
    stepwise = [n for n in names if n.endswith(("+wa", "+bfly"))]
    for name in names:
        connector = mc.connectors.by_name(name)
        assert connector.applies_to(dense_pair[0])
        assert connector.applies_to(network) == (name not in stepwise)
        if name in stepwise:
            with pytest.raises(ValueError, match="called more than once"):
                mc.connect(network, network, name, data=dense_pair[2])


def test_bad_arguments(dense_pair, deep_pair):
    a, b, (x, y) = dense_pair
    with pytest.raises(ValueError, match="The models differ"):
        mc.connect(a, deep_pair[0])
    with pytest.raises(TypeError, match="start must be a Keras model, received str"):
        mc.connect("a.keras", b)
    with pytest.raises(TypeError, match="name or a connector object"):
        mc.connect(a, b, mc.connectors.Arc)
    with pytest.raises(ValueError, match="method needs data"):
        mc.connect(a, b, "bezier")
    with pytest.raises(ValueError, match="labels of the data go from 1 to 3"):
        mc.connect(a, b, "bezier", data=(x, y + 1))
    with pytest.raises(ValueError, match=r"shape \(4,\) for each example, .* takes \(5,\)"):
        mc.connect(a, b, "bezier", data=(x[:, :4], y))
    with pytest.raises(ValueError, match="data is empty"):
        mc.connect(a, b, "bezier", data=(x[:0], y[:0]))
    with pytest.raises(ValueError, match="unbuilt weights"):
        mc.connect(a, keras.Sequential([keras.layers.Dense(3)]))
    broken = mc.connect(a, b).model(0)
    broken.layers[0].bias.assign(np.full(7, np.inf))
    with pytest.raises(ValueError, match="of the end model holds NaN"):
        mc.connect(a, broken)
    with pytest.raises(ValueError, match="Arc takes 'units' or 'none' for mean"):
        mc.connectors.Arc(mean="median")
    with pytest.raises(ValueError, match="'auto' or 'incoming'"):
        mc.connectors.Slerp(rows="outgoing")


@pytest.mark.parametrize(("kind", "options", "message"), BAD_OPTIONS)
def test_bad_options(kind, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**options)
    with pytest.raises((TypeError, ValueError), match=message):
        kind().replace(**options)


def test_replaced_options():
    connector = OptimalTransport(match="both", along=Arc(mean="none"), num_examples=np.int64(7))
    other = connector.replace(end="permuted")
    changed = connector.get_config() | {"end": "permuted"}
    assert other.get_config() == json.loads(json.dumps(changed))
    assert connector.end == "exact"
    with pytest.raises(TypeError, match="middle"):
        connector.replace(middle="exact")


SOME = {
    "matching": OptimalTransport(match="activations", num_examples=64),
    "choosing": Best(num_choosing=32, num_examples=64),
    "layer by layer": WeightAdjustment(num_examples=64, num_breakpoints=2),
    "all layers": FeatureInterpolation(num_examples=64, num_knots=3),
    "moments": Repair(num_examples=64, num_knots=3),
}


@pytest.mark.parametrize("connector", SOME.values(), ids=SOME)
def test_some_examples_are_from_everywhere(connector, deep_pair):
    """Data may be sorted by class: what comes after the first examples counts too."""
    start, end, (x, y) = deep_pair
    point, again, other = (
        mc.connect(start, end, connector, data=(inputs, y))(0.3)
        for inputs in (x, x, np.concatenate([x[:64], x[64:] ** 2]))
    )
    assert all(np.array_equal(a, b) for a, b in zip(point, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(point, other, strict=True))


OVERFLOWING = {
    "optimal transport": (OptimalTransport(), "mixed_float16", 1e5),
    "through one slot": (OptimalTransport(stage="one_slot"), "mixed_float16", 1e5),
    "matching": (OptimalTransport(match="activations"), "mixed_float16", 1e5),
    "rescaling": (OptimalTransport(along=Repair()), "mixed_float16", 1e5),
    "rescaling in single precision": (Repair(), "float32", 3e38),
    "weight adjustment": (WeightAdjustment(), "mixed_float16", 1e5),
    "training": (CurveFitting(epochs=4, batch_size=8, learning_rate=1e38), "float32", 1.0),
}


@pytest.mark.parametrize(("connector", "policy", "scale"), OVERFLOWING.values(), ids=OVERFLOWING)
def test_what_overflows_gives_no_path(connector, policy, scale):
    def build(seed):
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(n, "relu", dtype=policy) for n in (7, 6)]
        return keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(3)])

    x, y = classification_data((5,), 40)
    with pytest.raises(ValueError, match="activations overflow|hold NaN or infinity"):
        mc.connect(build(0), build(1), connector, data=(np.sign(x) * np.float32(scale), y))


def two_ended(seed):
    """Two inputs and two outputs."""
    keras.utils.set_random_seed(seed)
    inputs = [keras.Input((5,)), keras.Input((5,))]
    hidden = keras.layers.Dense(7)(keras.layers.Add()(inputs))
    return keras.Model(inputs, [keras.layers.Dense(3)(hidden), keras.layers.Dense(3)(hidden)])


@pytest.mark.parametrize("name", ["ot", "ot+repair", "linear+wa", "best", "bezier"])
def test_data_of_several_inputs_or_outputs(name):
    a, b, (x, y) = two_ended(0), two_ended(1), classification_data((5,), 40)
    with pytest.raises(ValueError, match="which has several inputs: data are used with"):
        mc.connect(a, b, name, data=(x, y))
    with pytest.raises(ValueError, match="inputs of the data are not one array"):
        mc.connect(a, b, name, data=({"a": x, "b": x}, y))
    if name == "ot":
        assert np.array_equal(mc.connect(a, b, name)(1)[0], WeightSpace(b).read()[0])
