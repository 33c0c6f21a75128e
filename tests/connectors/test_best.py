"""The choice that `best` makes."""

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.connectors.path_loss import PathLoss
from mc_keras.data import subset
from tests.adjustment.networks import dense, pair

FEW, MANY = (6, 5), (6, 5, 7, 6, 5, 6)


@pytest.mark.parametrize(
    ("widths", "losses", "layers", "num_knots", "num_measured"),
    [
        # By weights, activations and both, twice each; then staggered and by weight adjustment.
        (FEW, [3, 3, 1, 1, 2, 2, 4, 4, 4, 4], "together", 5, 10),
        (FEW, [3, 3, 1, 1, 2, 2, 0, 1, 4, 4], "staggered", 25, 10),
        # Once each; then staggered.
        (MANY, [3, 1, 2, 4], "together", 5, 4),
        (MANY, [3, 1, 2, 0], "staggered", 21, 4),
    ],
)
def test_what_loses_least_is_taken(widths, losses, layers, num_knots, num_measured, monkeypatch):
    a, b, x = pair(lambda: dense(widths), examples=120)
    data = x, np.random.default_rng(0).integers(3, size=len(x))
    measured = []

    def worst(self, path, positions, *, verbose=0):
        measured.append(path)
        # After the choice: of stage one, and of ways to put units back.
        return float(losses[len(measured) - 1]) if len(measured) <= num_measured else 9.0

    monkeypatch.setattr(PathLoss, "worst", worst)
    path = mc.connect(a, b, mc.connectors.Best(num_choosing=40), data)
    first = path.segments[0] if isinstance(path, mc.paths.PiecewisePath) else path
    assert len(measured) > num_measured
    assert first.coefficient_functions[2].num_control_points == num_knots
    assert path.provenance["chosen"] == {"match": "activations", "layers": layers}
    # Its units are those that activations chose, whose loss was the lowest.
    expected = mc.units.match_units(a, b, by="activations", x=x, seed=0)
    kernel = b.layers[0].get_weights()[0][:, expected.permutations[0]]
    np.testing.assert_array_equal(first(1.0)[0], kernel)


def test_both_halves_have_all_classes_in_whatever_order_they_come(monkeypatch):
    a, b, x = pair(lambda: dense(FEW), examples=120)
    seen, init = [], PathLoss.__init__

    def told(self, space, data):
        seen.append(set(data[1].tolist()))
        init(self, space, data)

    monkeypatch.setattr(PathLoss, "__init__", told)
    for labels in (np.arange(120) % 2, np.arange(120) // 60):
        seen.clear()
        mc.connect(a, b, mc.connectors.Best(), (x, labels))
        assert seen[:2] == [{0, 1}, {0, 1}]


def test_units_are_matched_on_more_examples_than_the_choice_takes(monkeypatch):
    a, b, x = pair(lambda: dense((200,)), examples=4000)
    data = x, np.random.default_rng(0).integers(3, size=len(x))
    losses = iter([3, 3, 1, 1, 2, 2])
    monkeypatch.setattr(PathLoss, "worst", lambda *_, **__: float(next(losses, 9.0)))
    path = mc.connect(a, b, "best", data)
    assert path.provenance["chosen"]["match"] == "activations"
    expected, fewer = (
        mc.units.match_units(a, b, by="activations", x=some).permutations[0]
        for some in (x, subset(data, 2000, 0)[0])
    )
    assert not np.array_equal(expected, fewer)
    kernel = b.layers[0].get_weights()[0][:, expected]
    np.testing.assert_array_equal(path.segments[0](1.0)[0], kernel)
