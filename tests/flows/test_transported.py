"""Paths along a flow: exact ends, files, networks that do not fit."""

import json

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.connectors import LearnedConnection
from mc_keras.flows import (
    RealNVP,
    check_fits,
    describe_networks,
    misfit,
    pack,
    rows_layout,
    unpack,
)
from mc_keras.weight_space import WeightSpace
from mc_keras.zoo import manifest
from tests.contracts.flows import FLOWS, stirred
from tests.networks import dense_network


def test_rows_go_there_and_back(population):
    space = WeightSpace(population[0])
    point, axes = space.read(), rows_layout(space).axes
    rows = pack(point, axes)
    assert rows.shape == (12, 9)
    arrays = unpack(rows, axes, [array.shape for array in point])
    assert sorted(arrays) == [0, 1, 2]
    for index, array in arrays.items():
        np.testing.assert_array_equal(array, point[index])
    order = np.arange(12)[::-1]
    permuted = unpack(rows[order], axes, [array.shape for array in point])
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    outputs = space([*(permuted[i] for i in range(3)), point[3]], x)
    np.testing.assert_allclose(outputs, population[0](x), atol=1e-5)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[pytest.mark.slow] * (k == "autoregressive")) for k in FLOWS],
)
def test_rounding_of_the_flow_is_taken_away_at_the_ends(population, kind, tmp_path):
    flow = FLOWS[kind](9)
    mc.connect(*population[:2], LearnedConnection(model=flow)).save(tmp_path / "learned.path")
    path = mc.load_path(tmp_path / "learned.path")  # of which no point was asked for yet
    # A flow that rounds badly: the gap at the ends would be 0.1.
    path.images[2] += 0.1
    path.images[3] -= 0.1
    path.flow.normalizations[0].mean.assign_add(np.zeros(9))
    raw = [path._computed_rows(t) for t in (1e-7, 1 - 1e-7)]
    ends = [pack(path(t), path.axes) for t in (0.0, 1.0)]
    for found, end, sign in zip(raw, ends, (1, -1), strict=True):
        np.testing.assert_allclose(found, end + sign * 0.1, atol=1e-5)


def test_the_path_does_not_follow_a_flow_that_is_trained_on(population):
    flow = FLOWS["real_nvp"](9)
    path = mc.connect(*population[:2], LearnedConnection(model=flow))
    before = path(0.4)
    flow.normalizations[0].mean.assign_add(np.ones(9))
    path._remembered.clear()
    for a, b in zip(before, path(0.4), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_path_goes_straight_to_its_exact_ends(population):
    path = mc.connect(*population[:2], LearnedConnection(model=FLOWS["real_nvp"](9)))
    for t, near in ((0.0, 1e-6), (1.0, 1 - 1e-6)):
        assert mc.paths.distance(path(t), path(near)) < 1e-4


@pytest.mark.slow
def test_a_file_in_a_new_process(population, tmp_path):
    import subprocess
    import sys

    path = mc.connect(*population[:2], LearnedConnection(model=FLOWS["real_nvp"](9)))
    path.save(tmp_path / "a.path")
    code = (
        "import sys; from mc_keras.paths import load_path; path = load_path(sys.argv[1]); "
        "print(float(path(0.4)[0][1, 2]), path)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.path")],
        capture_output=True,
        text=True,
        check=True,
    )
    number, text = result.stdout.split(maxsplit=1)
    assert float(number) == pytest.approx(float(path(0.4)[0][1, 2]), abs=1e-6)
    assert "TransportedPath by 'learned'" in text


def test_a_saved_model_serves_the_path(population, tmp_path):
    import tensorflow as tf

    path = mc.connect(*population[:2], LearnedConnection(model=FLOWS["real_nvp"](9)))
    folder = mc.export_path(path, tmp_path / "out")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    served = tf.saved_model.load(str(folder))
    outputs = served.serve(tf.constant(x), tf.constant(0.4))
    np.testing.assert_allclose(outputs, path.model(0.4)(x), atol=1e-5)


def test_evaluation(population, data):
    path = mc.connect(*population[:2], LearnedConnection(model=FLOWS["real_nvp"](9)))
    report = mc.evaluate_path(path, {"test": data}, 3, verbose=0)
    for t, accuracy in zip(report.t, report["test_accuracy"], strict=True):
        outputs = path.model(float(t)).predict(data[0], verbose=0)
        assert accuracy == pytest.approx(np.mean(outputs.argmax(1) == data[1]))


def test_units_that_the_flow_does_not_find_back_are_a_warning(population):
    flow = stirred(RealNVP(9, num_blocks=6, hidden=(8,)))
    mc.connect(*population[:2], LearnedConnection(model=flow))  # no warning, which is an error here
    strange = keras.models.clone_model(population[0])
    generator = np.random.default_rng(0)
    strange.set_weights([1e7 * generator.normal(size=w.shape) for w in population[0].get_weights()])
    with pytest.warns(UserWarning, match="does not find back the units .* misses") as caught:
        mc.connect(strange, population[1], LearnedConnection(model=flow))
    (filename,) = (w.filename for w in caught if "find back" in str(w.message))
    assert filename == __file__


def test_a_description_without_layers_fits_by_size(population):
    flow = RealNVP(9, networks={"dataset": "digits"})
    assert mc.connect(*population[:2], LearnedConnection(model=flow)).method == "learned"


def test_networks_of_another_kind_are_refused(population, deep_pair):
    flow = stirred(RealNVP(9, num_blocks=1, hidden=(5,)))
    flow.networks = describe_networks(population[0], dataset="toys")
    check_fits(flow, population[1])
    wider = dense_network(0, widths=(13,))
    tanh = dense_network(0, widths=(12,), activation="tanh")
    for other, difference in ((wider, "differs in 'units'"), (tanh, "differs in 'activation'")):
        with pytest.raises(ValueError, match=f"of other layers than .*{difference}.*dataset toys"):
            mc.connect(other, other, LearnedConnection(model=flow))
        assert not LearnedConnection(model=flow).applies_to(other)
        assert misfit(flow.networks, other)
    with pytest.raises(ValueError, match="one hidden layer"):
        mc.connect(*deep_pair[:2], LearnedConnection(model=flow))
    with pytest.raises(ValueError, match="one hidden layer"):
        describe_networks(deep_pair[0])


def test_normalisation_of_the_inputs_counts(population):
    def network(scale):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Rescaling(scale), keras.layers.Dense(12), keras.layers.Dense(3)]
        return keras.Sequential([keras.Input((5,)), *layers])

    described = describe_networks(network(0.5))
    assert misfit(described, network(0.5)) is None
    assert "scale" in misfit(described, network(0.25))


def test_a_flow_that_is_broken_is_refused(population):
    flow = stirred(RealNVP(9, num_blocks=1, hidden=(5,)))
    flow.normalizations[0].mean.assign(np.full(9, np.nan))
    with pytest.raises(ValueError, match="not finite"):
        mc.connect(*population[:2], LearnedConnection(model=flow))


def test_methods_of_the_zoo(population):
    for method in ("rnvp_bijection", "rnvp_flow", "iaf_flow"):
        connector = mc.connectors.by_name(method)
        assert not connector.applies_to(population[0])
        with pytest.raises(ValueError, match=f"no connection model '{method}' for networks like"):
            mc.connect(*population[:2], method)
    pair = mc.zoo.load_pair("fc1_digits")
    assert mc.connectors.by_name("rnvp_bijection").applies_to(pair.start)
    path = mc.connect(pair.start, pair.end, "rnvp_bijection")
    assert path.method == "rnvp_bijection"
    report = mc.evaluate_path(path, mc.zoo.load_data("digits"), 11, verbose=0)
    arc = mc.evaluate_path(
        mc.connect(pair.start, pair.end, "arc"), mc.zoo.load_data("digits"), 11, verbose=0
    )
    assert report.worst("train_accuracy") > arc.worst("train_accuracy")


def test_what_is_no_connection_model(population):
    with pytest.raises(ValueError, match="did you mean 'rnvp_bijection'. There are rnvp_bijection"):
        LearnedConnection(model="rnvp_bijektion")
    with pytest.raises(ValueError, match=r"model=mc.zoo.load_connection\(name\)"):
        LearnedConnection(model="fc1_digits_rnvp_bijection")
    with pytest.raises(TypeError, match="the name of a method, received Sequential"):
        LearnedConnection(model=population[0])


def test_connection_files(population, tmp_path):
    flow = FLOWS["real_nvp"](9)
    flow.save(tmp_path / "flow.keras")
    path = mc.connect(*population[:2], LearnedConnection(model=tmp_path / "flow.keras"))
    path.save(tmp_path / "path.mcpath")
    np.testing.assert_array_equal(
        path(0.5)[0], mc.connect(*population[:2], LearnedConnection(model=flow))(0.5)[0]
    )
    (tmp_path / "cut.keras").write_bytes((tmp_path / "flow.keras").read_bytes()[:999])
    population[0].save(tmp_path / "network.keras")
    for file, problem in (
        ("none", "There is no connection model"),
        ("cut", "is not a whole connection model"),
        ("network", "holds a Sequential, not a flow"),
    ):
        connector = LearnedConnection(model=str(tmp_path / f"{file}.keras"))
        with pytest.raises(ValueError, match=problem):
            mc.connect(*population[:2], connector)


def test_the_provenance_tells_one_training_from_another(population, tmp_path):
    flow = FLOWS["real_nvp"](9)
    file = tmp_path / "flow.keras"
    flow.save(file)
    connectors = LearnedConnection(model=flow), LearnedConnection(model=str(file))
    before = [connector.get_config() for connector in connectors]
    assert before == [connector.get_config() for connector in connectors]
    assert json.loads(json.dumps(before)) == before
    flow.normalizations[0].mean.assign_add(np.ones(9))
    flow.save(file)
    for connector, config in zip(connectors, before, strict=True):
        now = connector.get_config()
        assert now["model"] == config["model"]
        assert now["sha256"] != config["sha256"]
    zoo = manifest.load_manifest().connections
    assert LearnedConnection(model="rnvp_flow").get_config()["sha256"] == {
        name: entry.files["connection"].sha256
        for name, entry in zoo.items()
        if entry.method == "rnvp_flow"
    }
    assert LearnedConnection(model="none.keras").get_config()["sha256"] is None


@pytest.mark.parametrize("name", sorted(manifest.load_manifest().connections))
def test_shipped_flows_lead_there_and_back(name):
    entry = manifest.load_manifest().connection(name)
    pair = mc.zoo.load_pair(entry.recipe)
    flow = mc.zoo.load_connection(name)
    rows = mc.flows.population_rows([pair.start, pair.end]).reshape(-1, flow.size)[::8]
    back = flow.inverse(flow.forward(rows))
    np.testing.assert_allclose(back, rows, atol=1e-4)
