"""From rows to connectors."""

import pytest

from mc_keras.reproduction import Chains, Row, reproduce
from mc_keras.reproduction.rows import (
    check_connections,
    chosen_rows,
    connector_of,
    missing_rows,
)
from tests.contracts.flows import FLOWS
from tests.networks import dense_network, train
from tests.reproduction.conftest import TABLE


def test_chains_have_the_papers_number_of_points_and_are_trained_as_asked_for():
    for row, points in (("polychain", 3), ("polychain5", 5)):
        connector = connector_of(row, Chains(epochs=7))
        assert connector.curve.num_control_points == points
        assert connector.get_config() == Chains(epochs=7).connector(points).get_config()


def test_layers_are_solved_for_on_as_many_examples_as_asked_for():
    for row in ("linear+wa", "arc+bfly", "best"):
        assert connector_of(row, fit_examples=50).num_examples == 50
        assert connector_of(row).num_examples is None
    assert connector_of("ot", fit_examples=50).get_config() == connector_of("ot").get_config()
    assert connector_of("arc", fit_examples=50).get_config() == connector_of("arc").get_config()


@pytest.fixture
def network(dense_pair):
    return dense_pair[0]


def test_rows_without_a_method_are_left_out(network):
    assert missing_rows(TABLE, network) == ["by magic"]
    assert chosen_rows(TABLE, None, network) == ["ends", "linear", "arc", "polychain", "polychain5"]


def test_a_row_whose_method_cannot_connect_such_networks(network, monkeypatch):
    monkeypatch.setattr("mc_keras.connectors.Arc.applies_to", lambda self, network: False)
    assert missing_rows(TABLE, network) == ["arc", "by magic"]
    with pytest.raises(ValueError, match="'arc' does not apply to networks like"):
        chosen_rows(TABLE, ["linear", "arc"], network)


def test_rows_come_once_in_any_order_and_the_ends_always(network):
    assert chosen_rows(TABLE, ["slerp", "arc", "slerp", "ends"], network) == [
        "ends",
        "slerp",
        "arc",
    ]


def test_an_unknown_row_suggests_the_nearest(network):
    with pytest.raises(ValueError, match="There is no row 'arcc': did you mean 'arc'"):
        chosen_rows(TABLE, ["arcc"], network)
    with pytest.raises(ValueError, match="The rows are linear, .*, polychain5"):
        chosen_rows(TABLE, ["nothing"], network)


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("flow") / "connection.keras"
    FLOWS["real_nvp"](9).save(file)
    return file


def test_a_learned_row_takes_the_connection_model_that_it_is_given(flow_file, splits, tmp_path):
    pair = tuple(train(dense_network(seed, widths=(12,)), *splits["train"]) for seed in range(2))
    table = TABLE._replace(rows=(Row("iaf_flow", "IAF flow"), TABLE.rows[-1]))
    assert missing_rows(table, pair[0]) == ["iaf_flow"]
    own = {"iaf_flow": flow_file}
    assert missing_rows(table, pair[0], own) == []
    result = reproduce(
        table, {"one": pair}, splits, tmp_path, connections=own, num_points=3, verbose=0
    )
    assert result.rows == ["iaf_flow", "ends"]
    made_by = result.reports["iaf_flow"]["one"].metadata["provenance"]["connector"]
    assert made_by["model"] == str(flow_file)


def test_a_connection_model_is_for_a_learned_row(flow_file):
    check_connections({"rnvp_flow": flow_file})
    with pytest.raises(ValueError, match="'iaf_flo': did you mean 'iaf_flow'"):
        check_connections({"iaf_flo": flow_file})
