"""Files of planes that are not whole, or not what was written."""

import json

import pytest

from mc_keras.evaluation import PlaneReport
from tests.reports import plane_report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["y"].pop(), r"'train_loss' has values of shape \(9, 15\), its points \(8, 15"),
        (lambda r: r["points"].update(bend=[1.0]), "two coordinates"),
        (lambda r: r["projections"].update(arc={}), "a path seen in the plane"),
        (lambda r: r["projections"]["arc"]["t"].pop(), "at more positions than it has"),
    ],
)
def test_what_is_no_whole_plane_is_refused_in_a_sentence(tmp_path, change, message):
    file = tmp_path / "plane.json"
    plane_report().save(file)
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="altered after it was written"):
        PlaneReport.load(file)
    del record["sha256"]  # as in files of before
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"plane.json is not a whole report: .*{message}"):
        PlaneReport.load(file)
