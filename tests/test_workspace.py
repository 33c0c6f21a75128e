"""Paths and evaluations that are kept in a folder."""

import keras
import numpy as np
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


@pytest.mark.parametrize("damaged", [False, True])
def test_a_checkpoint_of_another_evaluation_is_not_gone_on_from(workspace, damaged):
    path = workspace.path("x", Arc())
    expected = workspace.measure("x", path, 3)
    other = workspace.measure("x", path, 4)  # where the checkpoint is of three points
    assert len(other.t) == 4
    if damaged:
        file = workspace.checkpoint("x")
        file.write_bytes(file.read_bytes()[:-5])
    again = workspace.measure("x", path, 3)
    np.testing.assert_array_equal(again["test_loss"], expected["test_loss"])


def test_other_errors_are_not_taken_for_a_bad_checkpoint(workspace):
    with pytest.raises(ValueError, match="num_points"):
        workspace.measure("x", workspace.path("x", Arc()), 1)


def test_a_method_can_be_forgotten(workspace, tmp_path):
    for method in ("x", "y"):
        workspace.measure(method, workspace.path(method, Arc()), 3)
    assert workspace.remembers("x", keep_path=True)
    workspace.forget("x", keep_path=True)
    assert workspace.remembers("x")
    assert not workspace.remembers("x", keep_path=True)
    assert workspace.path_file("x").exists()
    assert not workspace.checkpoint("x").exists()
    workspace.forget("x")
    assert not workspace.path_file("x").exists()
    assert workspace.checkpoint("y").exists()
    workspace.forget("y")
    assert not any(tmp_path.iterdir())


def test_a_path_of_another_architecture_with_the_same_weights_is_made_again(workspace, tmp_path):
    path = workspace.path("x", Linear())
    report = workspace.measure("x", path, 3)

    def with_tanh(model):
        config = model.get_config()
        config["layers"][1]["config"]["activation"] = "tanh"
        other = type(model).from_config(config)
        other.set_weights(model.get_weights())
        return other

    start, end = map(with_tanh, (path.model(0), path.model(1)))
    other = Workspace(tmp_path, start, end, workspace._splits, seed=3)
    assert not other.made_by(Linear(), path.provenance)
    again = other.path("x", Linear())
    assert again.model(0).layers[0].activation is keras.activations.tanh
    assert np.all(other.measure("x", again, 3)["test_loss"] != report["test_loss"])
