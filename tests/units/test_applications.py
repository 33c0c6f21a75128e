"""Proof of docs/unit_groups.md: every row, at random weights."""

import keras
import pytest

from tests.units.applications import NAMES, PAGE, build, row
from tests.units.networks import randomize


@pytest.fixture(autouse=True)
def float64():
    """In float32 here: some of these networks are large."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_architecture(name):
    keras.backend.clear_session()
    text, change = row(name, randomize(build(name)))
    assert text in PAGE.read_text()
    assert change < 1e-4


def test_the_page_lists_every_architecture():
    page = PAGE.read_text()
    assert [name for name in NAMES if f"| {name} |" not in page and f"- {name}:" not in page] == []
