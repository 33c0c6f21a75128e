"""Explanations of the methods."""

import pytest

import mc_keras as mc
from mc_keras.reporting.explanations import explain


@pytest.mark.parametrize("method", mc.connectors.names())
def test_every_method_has_an_explanation_of_one_line(method):
    text = explain(mc.connectors.by_name(method))
    assert 20 < len(text) < 500
    assert "\n" not in text
    assert "`" not in text


def test_the_curve_that_is_trained_is_part_of_it():
    bezier, chain = (explain(mc.connectors.by_name(name)) for name in ("bezier", "polychain"))
    assert "Bezier curve:" in bezier
    assert "Polygonal chain:" in chain
