"""What every connection method promises."""

import json

import keras
import ml_dtypes
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.weight_space import WeightSpace
from tests.adjustment import networks
from tests.contracts.connectors import CONNECTORS


@pytest.fixture(params=["dense_pair", "deep_pair", "batch_norm_pair"])
def pair(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=CONNECTORS)
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


@pytest.fixture(params=["float64", "float16", "bfloat16"])
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
    point, state = path.tensor_point(keras.ops.convert_to_tensor(0.125, "float32"))
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
    with pytest.raises(ValueError, match="mean='units'"):
        mc.connectors.Arc(mean="median")
    with pytest.raises(ValueError, match="'auto' or 'incoming'"):
        mc.connect(a, b, mc.connectors.Slerp(rows="outgoing"))
    with pytest.raises(ValueError, match="at least one epoch"):
        mc.connectors.CurveFitting(epochs=0)
