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


def test_alignments_say_that_they_stop_before_the_end():
    methods = ("alignment", "activation_alignment", "ot")
    weights, activations, both_stages = (explain(mc.connectors.by_name(name)) for name in methods)
    assert "weights are nearest" in weights
    assert "activations correlate most" in activations
    assert ["in that order" in text for text in (weights, activations, both_stages)] == [
        True,
        True,
        False,
    ]


def test_the_curve_that_is_trained_is_part_of_it():
    bezier, chain = (explain(mc.connectors.by_name(name)) for name in ("bezier", "polychain"))
    assert "Bezier curve:" in bezier
    assert "Polygonal chain:" in chain
