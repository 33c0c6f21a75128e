"""The result file."""

import dataclasses
import json
import math

import numpy as np

from mc_keras.reporting import write_results
from mc_keras.reporting.results import FORMAT, files_of_report
from tests.reports import path_report


def written(comparison, folder):
    write_results(folder / "results.json", comparison)
    return json.loads((folder / "results.json").read_text(), parse_constant=_refuse)


def _refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_everything_measured_is_in_it(comparison, tmp_path):
    record = written(comparison, tmp_path)
    assert (record["format"], record["format_version"]) == ("mc_keras.comparison", 1)
    assert record["title"] == comparison.title
    assert record["best"] == "bezier"
    assert record["provenance"] == comparison.provenance
    for method, report in comparison.reports.items():
        found = record["methods"][method]
        assert found["t"] == report.t.tolist()
        assert found["seconds"] == comparison.seconds[method]
        assert found["length"] == report.length
        assert set(found["quantities"]) == set(report.names)
        for name, quantity in found["quantities"].items():
            np.testing.assert_array_equal(quantity["values"], report[name])
            assert quantity["worst"] == report.worst(name)
            assert quantity["mean_by_length"] == report.mean(name, "arclength")
            assert quantity["barrier_over_ends"] == report.barrier(name, "ends")
    assert record["methods"]["bezier"]["files"]["path"] == "paths/bezier.path"


def test_values_that_are_not_finite_are_kept(comparison, tmp_path):
    reports = {**comparison.reports, "arc": path_report("arc", 0.1, nan_at=[4])}
    record = written(dataclasses.replace(comparison, reports=reports), tmp_path)
    loss = record["methods"]["arc"]["quantities"]["test_loss"]
    assert loss["values"][4] == loss["worst"] == "NaN"
    assert math.isnan(float(loss["worst"]))


def test_files_of_a_report_are_inside_its_folder(tmp_path):
    file = tmp_path / "results.json"
    named = ["figures/loss.png", "", ".", "../other.png", "/other.png", "a/../../b", 3]
    file.write_text(json.dumps({"format": FORMAT, "files": named}))
    assert files_of_report(file) == ["figures/loss.png"]
    file.write_text(json.dumps({"format": "another", "files": named}))
    assert files_of_report(file) == []
    assert files_of_report(tmp_path / "none.json") == []
