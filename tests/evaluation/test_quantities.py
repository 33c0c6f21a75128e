"""Names of quantities as a reader sees them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc_keras.evaluation.quantities import loss_texts, quantity, short_number

SPLITS = ["train", "test", "validation", "test_shifted"]


@pytest.mark.parametrize(
    ("name", "label", "value", "text"),
    [
        ("test_accuracy", "test accuracy (%)", 0.9734, "97.3\u00a0%"),
        ("train_sparse_top_k_accuracy", "train sparse top k accuracy (%)", 1.0, "100.0\u00a0%"),
        ("test_loss", "test loss", 0.08123, "0.081"),
        ("validation_mean_squared_error", "validation mean squared error", 12.34, "12.3"),
        ("test_loss", "test loss", math.nan, "nan"),
        ("test_shifted_loss", "test_shifted loss", 1.0, "1.00"),
    ],
)
def test_labels_and_texts(name, label, value, text):
    assert quantity(name, SPLITS).label == label
    assert quantity(name, SPLITS).text(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_a_short_number_is_short_and_right_to_its_digits(value):
    text = short_number(value)
    assert len(text) <= 8
    two_digits = not 0.01 <= value < 1e5
    assert float(text) == pytest.approx(value, rel=0.06 if two_digits else 0.05)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([2.3026, 0.0012], ["2.3026", "0.0012"]),
        ([2.3e-8, 4.1e-9, 0.0], ["2.300e-08", "4.100e-09", "0.000e+00"]),
        ([0.25, 3e9, math.nan, math.inf], ["0.2500", "3.000e+09", "nan", "inf"]),
        ([0.0, 0.0], ["0.0000", "0.0000"]),
    ],
)
def test_losses_of_any_size_can_be_told_apart(values, texts):
    assert loss_texts(values) == texts
