"""Paths and evaluations that are kept in a folder."""

import pytest

from mc_keras.connectors import Arc, CurveFitting, Linear, OptimalTransport
from mc_keras.workspace import Workspace


@pytest.fixture
def workspace(dense_pair, tmp_path):
    start, end, (x, y) = dense_pair
    return Workspace(tmp_path, start, end, {"train": (x, y), "test": (x[:9], y[:9])}, seed=3)


@pytest.mark.parametrize(
    "connector",
    [Arc(), CurveFitting(epochs=1), OptimalTransport(stage="swaps")],
    ids=["needs no data", "needs data", "takes data where there are any"],
)
def test_a_path_is_recognised_by_its_provenance(workspace, connector):
    path = workspace.path("x", connector)
    assert workspace.made_by(connector, path.provenance)
    assert not workspace.made_by(Linear(), path.provenance)
    written = workspace.path_file("x").stat().st_mtime_ns
    assert workspace.path("x", connector).provenance == path.provenance
    assert workspace.path_file("x").stat().st_mtime_ns == written


def test_nothing_is_left_of_what_was_kept_to_go_on(workspace):
    workspace.measure("x", workspace.path("x", Arc()), 3)
    assert workspace.checkpoint("x").exists()
    workspace.finish()
    assert not workspace.checkpoint("x").parent.exists()
    assert workspace.path_file("x").exists()
