"""One table for each size, made from the networks of that size, once."""

import json

import numpy as np
import pytest

from mc_keras.reproduction import STUDIES, compare_sizes

STUDY = STUDIES["width"]
SETTINGS = {"rows": ["arc"], "num_points": 5, "verbose": 0}


def test_each_size_is_measured_once_and_written_before_the_next_begins(
    pairs, splits, reproduced, tmp_path
):
    def killed(size):
        if size == 16:
            raise KeyboardInterrupt
        return {"one": pairs["one"]}

    with pytest.raises(KeyboardInterrupt):
        compare_sizes(STUDY, killed, splits, tmp_path, sizes=[16, 8, 16], **SETTINGS)
    assert list(json.loads((tmp_path / "study.json").read_text())["sizes"]) == ["8"]
    made = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("pairs/**/*.json")}
    assert {file.stem for file in made} == {"arc", "ends"}

    def networks(size):
        name = "one" if size == 8 else "two"
        return {name: pairs[name]}

    studied = compare_sizes(STUDY, networks, splits, tmp_path, sizes=[16, 8, 16], **SETTINGS)
    assert {file: file.stat().st_mtime_ns for file in made} == made
    assert list(json.loads((tmp_path / "study.json").read_text())["sizes"]) == ["8", "16"]
    for size, pair in ((8, "one"), (16, "two")):
        assert studied.results[size].pairs == [pair]
        expected = reproduced[1].reports["arc"][pair]
        np.testing.assert_allclose(
            studied.results[size].reports["arc"][pair]["test_loss"], expected["test_loss"]
        )
        assert (tmp_path / str(size) / "table.md").exists()


def sizes_in(folder):
    return [int(size) for size in json.loads((folder / "study.json").read_text())["sizes"]]


@pytest.mark.slow
def test_sizes_of_earlier_runs_stay_if_they_would_be_the_same(pairs, splits, tmp_path):
    def networks(size):
        return {"one": pairs["one"]}

    def run(sizes, command, kept_networks=networks, **changes):
        settings = SETTINGS | {"about": {"command": command}} | changes
        compare_sizes(
            *(STUDY, networks, splits, tmp_path),
            **{"sizes": sizes, "kept_networks": kept_networks, **settings},
        )
        return sizes_in(tmp_path)

    assert run([4, 8], "first") == [4, 8]
    assert run([16], "second") == [4, 8, 16]
    text = (tmp_path / "study.md").read_text()
    assert "| hidden units | 4 | 8 | 16 |" in text
    assert text.endswith("Made by:\n\n- `first`\n- `second`\n")
    assert run([8], "third", lambda size: None) == [8]  # networks that are gone
    assert run([8], "third", lambda size: {"one": pairs["two"]}) == [8]  # others
    assert run([8], "third", num_points=4) == [8]
    assert run([16], "third") == [4, 8, 16]  # those of other settings are still there


def test_a_run_that_is_made_again_never_writes_fewer_sizes(pairs, splits, tmp_path):
    written = []

    def networks(size):
        if (tmp_path / "study.json").exists():
            written.append(sizes_in(tmp_path))
        return {"one": pairs["one"]}

    compare_sizes(STUDY, networks, splits, tmp_path, sizes=[4, 8], **SETTINGS)
    assert written == [[4]]
    written.clear()
    compare_sizes(STUDY, networks, splits, tmp_path, sizes=[4, 8], **SETTINGS)
    assert set(map(tuple, written)) == {(4, 8)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [8, 0]}, r"numbers of hidden units, at least 1, such as .*; received \[0, 8\]"),
        ({"sizes": []}, r"received \[\]"),
        ({"rows": ["arcc"]}, "did you mean 'arc'"),
    ],
)
def test_bad_arguments_are_refused_before_a_network_is_trained(splits, tmp_path, changes, message):
    def networks(size):
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        compare_sizes(STUDY, networks, splits, tmp_path / "out", **SETTINGS | changes)
    assert not (tmp_path / "out").exists()
