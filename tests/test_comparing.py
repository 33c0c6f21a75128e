"""One run that connects, measures and writes; killed, it goes on."""

import json
import threading

import numpy as np
import pytest

import mc_keras as mc
from mc_keras import locks
from mc_keras.comparing import compare_methods
from mc_keras.connectors import Arc, CurveFitting, Linear


@pytest.fixture
def compare(dense_pair, tmp_path):
    start, end, (x, y) = dense_pair
    splits = {"train": (x, y), "test": (x[:40], y[:40])}

    def run(**changes):
        connectors = {"linear": Linear(), "bezier": CurveFitting(epochs=1)}
        settings = {
            "num_points": 5,
            "num_exports": 0,
            "plane_resolution": 0,
            "verbose": 0,
            "folder": tmp_path / "run",
        }
        settings |= {"data": splits, "connectors": connectors} | changes
        return compare_methods(start, end, **settings)

    return run


def test_what_is_returned_is_what_was_written(compare, tmp_path):
    comparison = compare(title="two", about={"command": "none"})
    record = json.loads((tmp_path / "run" / "results.json").read_text())
    assert record["title"] == comparison.title == "two"
    assert record["provenance"] == comparison.provenance
    assert comparison.provenance["command"] == "none"
    for method, report in comparison.reports.items():
        np.testing.assert_array_equal(
            record["methods"][method]["quantities"]["test_loss"]["values"], report["test_loss"]
        )


def test_paths_of_an_earlier_run_are_taken(compare, tmp_path):
    file = tmp_path / "run" / "paths" / "bezier.path"
    first = compare()
    made = file.stat().st_mtime_ns
    second = compare()
    assert file.stat().st_mtime_ns == made
    assert second.seconds == first.seconds
    np.testing.assert_array_equal(
        second.reports["bezier"]["train_loss"], first.reports["bezier"]["train_loss"]
    )


def test_nothing_of_an_earlier_report_is_taken_for_a_part_of_this_one(
    compare, tmp_path, dense_pair
):
    start, end, data = dense_pair
    folder = tmp_path / "run"
    compare(num_exports=3, plane_resolution=2)
    mine = [
        folder / name
        for name in ("figures/notes.txt", "figures/mine.png", "savedmodels/own/t_best/model.pb")
    ]
    mine += [folder / "unfinished/draft.tex", folder / "planes/mine.json"]
    for file in mine:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    linear = {"linear": Linear()}
    comparison = compare_methods(
        end, start, {"test": data}, linear, folder, num_points=2, num_exports=2, verbose=0
    )
    assert comparison.best == "linear"
    exported = {file.relative_to(folder).as_posix() for file in folder.glob("savedmodels/linear/*")}
    assert exported == {"savedmodels/linear/t_0.000", "savedmodels/linear/t_1.000"}
    assert [file.name for file in (folder / "planes").iterdir()] == ["mine.json"]
    figures = {file.name for file in (folder / "figures").iterdir()} - {"notes.txt", "mine.png"}
    assert figures == {"test_loss.png", "test_accuracy.png", "barriers.png"}
    assert all(file.read_text() == "mine" for file in mine)


@pytest.mark.slow
def test_paths_made_in_another_way_are_made_again(compare, tmp_path):
    compare(connectors={"curve": CurveFitting(epochs=1)})
    for connector, seed in ((CurveFitting(epochs=1), 1), (CurveFitting(epochs=2), 1), (Arc(), 1)):
        compare(connectors={"curve": connector}, seed=seed)
        provenance = mc.load_path(tmp_path / "run" / "paths" / "curve.path").provenance
        assert provenance["seed"] == seed
        assert provenance["connector"]["class"] == type(connector).__name__
        assert provenance["connector"].get("epochs") == getattr(connector, "epochs", None)


def test_a_damaged_path_is_made_again(compare, tmp_path):
    compare(connectors={"arc": Arc()})
    file = tmp_path / "run" / "paths" / "arc.path"
    file.write_bytes(file.read_bytes()[:-100])
    compare(connectors={"arc": Arc()})
    assert mc.load_path(file).method == "arc"


def test_an_evaluation_that_was_killed_goes_on(compare, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*arguments):
        raise Killed

    connectors = {"linear": Linear(), "arc": Arc()}
    with monkeypatch.context() as patch:
        patch.setattr("mc_keras.comparing.write_results", die)
        with pytest.raises(Killed):
            compare(connectors=connectors)
    unfinished = tmp_path / "run" / "unfinished"
    assert {file.name for file in unfinished.iterdir()} == {"linear.checkpoint", "arc.checkpoint"}
    compare(connectors=connectors)
    assert not unfinished.exists()
    assert (tmp_path / "run" / "report.html").exists()


def test_trained_curves_have_a_plane_with_the_straight_line_in_it(compare, tmp_path):
    comparison = compare(plane_resolution=3)
    assert set(comparison.planes) == {"bezier"}
    assert set(comparison.planes["bezier"].projections) == {"bezier", "linear"}
    saved = mc.evaluation.PlaneReport.load(tmp_path / "run" / comparison.files["bezier"]["plane"])
    np.testing.assert_array_equal(saved["train_loss"], comparison.planes["bezier"]["train_loss"])


def test_a_curve_that_stayed_straight_has_no_plane(compare):
    still = CurveFitting(epochs=1, learning_rate=1e-30)
    comparison = compare(connectors={"bezier": still}, plane_resolution=3)
    assert not comparison.planes
    assert comparison.explanations["bezier"].endswith("there is no plane through it to draw.")


def test_all_is_checked_before_anything_is_written(compare, tmp_path, dense_pair):
    *_, (x, y) = dense_pair
    with pytest.raises(ValueError, match="labels of the split 'late'"):
        compare(data={"train": (x, y), "late": (x, y + 7)})
    assert not (tmp_path / "run").exists()


def test_one_process_at_a_time_writes_to_a_folder(compare, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_SILENT_WAIT", 0.05)
    folder, told = tmp_path / "run", threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(locks, "print", lambda *args, **kwargs: told.set(), raising=False)
        second = threading.Thread(target=compare, kwargs={"connectors": {"linear": Linear()}})
        with locks.locked(folder / locks.LOCK, "is here"):
            second.start()
            assert told.wait(60)
            assert not (folder / "paths").exists()
        second.join()
    assert (folder / "report.html").exists()
