"""Proof of docs/unit_groups.md: every row, at random weights."""

import keras
import pytest

from tests.units.applications import NAMES, PAGE, build, row
from tests.units.networks import assert_planted_is_found, randomize

PLANTED = (
    "DenseNet121",
    "EfficientNetB0",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_permutation_is_found(name):
    """By weights, from the random initial weights of the architecture."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    assert_planted_is_found(build(name))


def test_the_page_lists_every_architecture():
    page = PAGE.read_text()
    assert [name for name in NAMES if f"| {name} |" not in page and f"- {name}:" not in page] == []
