"""A comparison of three methods."""

import pytest

from mc_keras.reporting import Comparison
from tests.reports import path_reports, plane_report


@pytest.fixture
def comparison():
    reports = path_reports(linear=0.4, arc=0.2, bezier=0.001)
    return Comparison(
        title="fc <digits> & co",
        reports=reports,
        seconds={"linear": 0.01, "arc": 0.02, "bezier": 4.5},
        provenance={
            "command": "mc-connect --pair='fc <digits>'",
            "seed": 7,
            "start": {"name": "a", "sha256": "ab" * 32},
            "data": {"train": {"examples": 1442}, "test": {"examples": 355}},
        },
        explanations={"arc": "A quarter of an ellipse."},
        planes={"bezier": plane_report()},
        files={"bezier": {"path": "paths/bezier.path", "SavedModel at t = 0.5": "s/t 0.5"}},
    )
