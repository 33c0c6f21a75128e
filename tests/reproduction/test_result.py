"""Means, standard deviations, gaps and orders, against their definitions."""

import numpy as np
import pytest

import mc_keras as mc


def test_a_row_is_the_worst_point_of_each_path(reproduced, pairs, splits):
    _, result = reproduced
    for row, method in (("linear", "linear"), ("arc", "arc")):
        expected = [
            100 * mc.evaluate_path(mc.connect(*pair, method), splits, 5, verbose=0)["test_accuracy"]
            for pair in pairs.values()
        ]
        worst = [values.min() for values in expected]
        np.testing.assert_allclose(result.worst(row, "test"), worst)
        figure = result.figure(row, "test")
        assert figure.mean == pytest.approx(np.mean(worst))
        assert figure.sd == pytest.approx(abs(worst[0] - worst[1]) / np.sqrt(2))


def test_the_ends_count_every_network_once(reproduced, pairs, splits):
    _, result = reproduced
    (one, shared), (_, three) = pairs.values()
    x, y = splits["test"]
    expected = [
        100 * np.mean(np.argmax(m.predict(x, verbose=0), 1) == y) for m in (one, shared, three)
    ]
    np.testing.assert_allclose(result.worst("ends", "test"), expected)


def test_gaps_are_from_the_ends(reproduced):
    _, result = reproduced
    ends, arc = result.figure("ends", "train").mean, result.figure("arc", "train").mean
    assert result.gap("arc", "train") == ends - arc
    assert result.gap("ends", "train") == 0
    assert result.published_gap("arc", "train") == 92 - 50
    assert result.published_gap("polychain5", "train") is None


def test_orders_have_the_rows_that_both_measured(reproduced):
    _, result = reproduced
    here, paper = result.orders("test")
    assert paper == ["polychain", "arc", "linear"]
    assert sorted(here) == sorted(paper)
    means = [result.figure(row, "test").mean for row in here]
    assert means == sorted(means, reverse=True)
