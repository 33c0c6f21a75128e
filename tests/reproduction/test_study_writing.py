"""The files hold what was measured."""

import csv
import json

import pytest

from mc_keras.reproduction.study_writing import study_markdown, write_study


@pytest.fixture(scope="module")
def folder(studied, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, studied)
    return folder


def test_tables_for_readers(studied, folder):
    text = (folder / "study.md").read_text()
    assert text == study_markdown(studied)
    sections = dict(part.split("\n", 1) for part in text.split("## ")[1:])
    arc = studied.figure("arc", 8, "test")
    accuracies = sections["Worst test accuracy, per cent"]
    assert f"| arc | {arc.mean:.2f} ± {arc.sd:.2f} |  |" in accuracies
    assert "| ends |" in accuracies
    gaps = [f"{studied.gap('linear', size, 'train'):.2f}" for size in (8, 16)]
    below = sections["Below the ends, train, percentage points"]
    assert f"| linear | {' | '.join(gaps)} |" in below
    assert "| ends |" not in below
    assert "2 pairs (mean ± standard deviation) of networks for each number of hidden" in text
    assert "Made by `mc-reproduce --tiny`." in text


def test_tables_for_programs(studied, folder):
    lines = list(csv.DictReader((folder / "study.csv").open()))
    record = json.loads((folder / "study.json").read_text())
    assert record["provenance"]["command"] == "mc-reproduce --tiny"
    assert len(lines) == 2 * (5 + 4)
    for line in lines:
        size, row, split = int(line["size"]), line["row"], line["split"]
        here, gap = studied.figure(row, size, split), studied.gap(row, size, split)
        assert [float(line[key]) for key in ("mean", "sd", "gap")] == pytest.approx(
            [here.mean, here.sd, gap], abs=6e-4
        )
        written = record["sizes"][line["size"]]["rows"][row][split]
        assert written["worst"] == studied.results[size].worst(row, split).tolist()
        assert (written["mean"], written["sd"], written["gap"]) == (here.mean, here.sd, gap)
    assert record["sizes"]["8"]["hidden"] == [8]
    assert set(record["sizes"]["8"]["pairs"]) == {"one", "two"}
