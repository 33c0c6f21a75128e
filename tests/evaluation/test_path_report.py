import dataclasses
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mc_keras.evaluation import PathReport
from tests.reports import path_report

finite = st.floats(-1e3, 1e3)


def report_of(values, t=None, steps=None, *, lower=True):
    values = np.array(values, "float64")
    t = np.linspace(0, 1, len(values)) if t is None else np.array(t)
    return PathReport(
        t=t,
        values={"test_loss": values},
        smaller_is_better={"test_loss": lower},
        splits=("test",),
        steps=np.diff(t) if steps is None else np.array(steps),
        chord=1.0,
        method="linear",
    )


@given(st.lists(finite, min_size=2, max_size=9), st.booleans())
def test_the_worst_is_no_better_than_any(values, lower):
    report = report_of(values, lower=lower)
    worst = report.worst("test_loss")
    assert worst == (max(values) if lower else min(values))
    assert report["test_loss"][list(report.t).index(report.worst_position("test_loss"))] == worst


@given(st.lists(finite, min_size=2, max_size=9))
def test_the_mean_lies_between_best_and_worst(values):
    report = report_of(values)
    for weighting in ("t", "arclength"):
        mean = report.mean("test_loss", weighting)
        assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


@given(finite, st.integers(2, 9), st.booleans())
def test_a_constant_path_has_no_barrier(value, count, lower):
    report = report_of([value] * count, lower=lower)
    assert report.mean("test_loss") == pytest.approx(value)
    for definition in ("chord", "ends"):
        assert report.barrier("test_loss", definition) == pytest.approx(0, abs=1e-9)


@given(finite, finite, st.integers(2, 9))
def test_a_straight_rise_has_no_barrier_over_the_chord(start, end, count):
    report = report_of(np.linspace(start, end, count))
    assert report.mean("test_loss") == pytest.approx((start + end) / 2, abs=1e-9)
    assert report.barrier("test_loss") == pytest.approx(0, abs=1e-9)
    assert report.barrier("test_loss", "ends") == pytest.approx(abs(end - start) / 2, abs=1e-9)


@given(st.lists(finite, min_size=1, max_size=7), finite)
def test_both_barriers_are_equal_where_the_ends_are(inner, end):
    report = report_of([end, *inner, end])
    assert report.barrier("test_loss") == pytest.approx(report.barrier("test_loss", "ends"))


@given(st.lists(finite, min_size=3, max_size=9))
def test_a_barrier_of_the_accuracy_is_one_of_the_error(values):
    up = report_of(values, lower=True)
    down = report_of([-v for v in values], lower=False)
    for definition in ("chord", "ends"):
        assert up.barrier("test_loss", definition) == down.barrier("test_loss", definition)


def test_figures_by_hand():
    report = report_of([1.0, 4.0, 2.0], t=[0.0, 0.25, 1.0], steps=[3.0, 1.0])
    assert report.length == 4
    np.testing.assert_array_equal(report.travelled, [0, 0.75, 1])
    assert report.mean("test_loss") == 0.25 * 2.5 + 0.75 * 3
    assert report.mean("test_loss", "arclength") == 0.75 * 2.5 + 0.25 * 3
    assert report.barrier("test_loss") == 4 - 1.75
    assert report.barrier("test_loss", "ends") == 4 - 1.5
    assert (report.worst("test_loss"), report.worst_position("test_loss")) == (4, 0.25)


def test_a_path_of_length_zero_is_weighted_by_t():
    report = report_of([1.0, 3.0, 1.0], steps=[0.0, 0.0])
    assert report.mean("test_loss", "arclength") == report.mean("test_loss") == 2


def test_nan_stays_nan():
    report = path_report("linear", 0.1, nan_at=[3])
    figures = (report.worst, report.mean, report.barrier)
    assert all(np.isnan(figure("test_loss")) for figure in figures)
    assert report.worst_position("test_loss") == report.t[3]
    assert "nan" in report.table()


def test_an_infinite_loss_at_an_end():
    report = report_of([np.inf, 1.0, 2.0])
    assert report.worst("test_loss") == np.inf
    assert report.mean("test_loss") == np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r["val_loss"], "no 'val_loss'; it has train_loss, train_accuracy"),
        (lambda r: r.mean("test_loss", "s"), "'t' and 'arclength'"),
        (lambda r: r.barrier("test_loss", "frankle"), "'chord' and 'ends'"),
    ],
)
def test_what_there_is_not(call, message):
    with pytest.raises((KeyError, ValueError), match=message):
        call(path_report("linear", 0.1))


def test_saved_and_loaded_it_is_the_same(tmp_path):
    report = path_report("arc", 0.1, nan_at=[2])
    report.values["test_loss"][5:7] = np.inf, -np.inf
    report.save(tmp_path / "report.json")

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    loaded = PathReport.load(tmp_path / "report.json")
    for field in dataclasses.fields(PathReport):
        np.testing.assert_equal(getattr(loaded, field.name), getattr(report, field.name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "mc_keras.path_rep', "not a whole JSON file"),
        ("[" * 100_000, "not a whole JSON file"),
        ("[]", "is not a mc_keras.path_report file"),
        ('{"format": "other"}', "is not a mc_keras.path_report file"),
        ('{"format": "mc_keras.path_report", "format_version": 99}', "upgrade mc_keras"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        PathReport.load(tmp_path / "report.json")


def altered(file, change, *, digest):
    """Change what a report's file holds; take its digest away as if it had never had one."""
    record = json.loads(file.read_text())
    if not digest:
        del record["sha256"]
    change(record)
    file.write_text(json.dumps(record))


def test_an_altered_report_is_refused(tmp_path):
    file = tmp_path / "report.json"
    path_report("arc", 0.1).save(file)
    altered(file, lambda r: r["values"].update(test_accuracy=[1.0] * 21), digest=True)
    with pytest.raises(ValueError, match="altered after it was written.*its contents do not match"):
        PathReport.load(file)


def test_a_report_of_before_digests_is_read(tmp_path):
    file = tmp_path / "report.json"
    report = path_report("arc", 0.1, nan_at=[2])
    report.save(file)
    altered(file, lambda r: None, digest=False)
    np.testing.assert_array_equal(PathReport.load(file)["test_loss"], report["test_loss"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("format_version"), "no 'format_version', or one of another kind"),
        (lambda r: r.pop("values"), "no 'values'"),
        (lambda r: r.pop("metadata"), "no 'metadata'"),
        (lambda r: r.update(metadata=None), "no 'metadata'"),
        (lambda r: r.update(method=3), "no 'method'"),
        (lambda r: r.update(splits="train"), "no 'splits'"),
        (lambda r: r.update(lower_is_better={}), "no 'train_loss'"),
        (lambda r: r.update(chord=[1.0]), r"\[1.0\] in the place of a number"),
        (lambda r: r.update(chord=10**400), "too large"),
        (lambda r: r["values"]["test_accuracy"].pop(), r"'test_accuracy' has values of shape \(20"),
        (lambda r: r["values"].update(test_loss=[None] * 21), "None in the place of a number"),
        (lambda r: r["values"].update(test_loss=[True] * 21), "True in the place of a number"),
        (lambda r: r["values"].update(test_loss=["0.5"] * 21), "'0.5' in the place of a number"),
        (lambda r: r["values"].update(test_loss={}), "{} in the place of a list of numbers"),
        (lambda r: r["t"].pop(), "20 positions and 20 steps"),
        (lambda r: r.pop("steps"), "None in the place of a list of numbers"),
    ],
)
def test_what_is_no_whole_report_is_refused_in_a_sentence(tmp_path, change, message):
    file = tmp_path / "report.json"
    path_report("arc", 0.1).save(file)
    altered(file, change, digest=False)
    with pytest.raises(ValueError, match=f"report.json is not a whole report: .*{message}"):
        PathReport.load(file)


def test_the_table_shows_accuracies_in_per_cent():
    lines = path_report("arc", 0.1).table().splitlines()
    assert lines[0].split()[:3] == ["start", "end", "worst"]
    assert lines[4].split()[0] == "test_accuracy"
    assert lines[4].split()[1:4] == ["97.00", "95.00", "86.00"]
    assert lines[-1] == "arc: 21 positions, length 1.2 against 1 of the straight line"


def test_the_table_says_which_loss_it_is():
    measures = {"loss": {"class": "BinaryCrossentropy", "config": {"from_logits": True}}}
    report = path_report("arc", 0.1, evaluation={"measures": measures})
    assert report.table().splitlines()[-1] == "loss: BinaryCrossentropy(from_logits=True)"
