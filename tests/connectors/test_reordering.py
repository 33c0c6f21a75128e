import numpy as np
import pytest

from mc_keras.connectors.path_loss import PathLoss
from mc_keras.connectors.permutation_stage import SlotEditor
from mc_keras.connectors.reordering import STAGES, Reordering
from mc_keras.progress import ProgressBar
from mc_keras.units import permute, unit_groups
from mc_keras.units.activations import second_moments
from mc_keras.weight_space import WeightSpace
from tests.networks import classification_data, dense_network, train

WAYS = list(STAGES)


@pytest.fixture(scope="module")
def reordering_and_measure():
    x, y = classification_data((5,), 200)
    model = train(dense_network(widths=(12,)), x, y, epochs=20)
    space = WeightSpace(model)
    (group,) = unit_groups(model)
    order = np.random.default_rng(0).permutation(group.size)
    point, state = permute(group, order, space.read(), space.read_state())
    editor = SlotEditor(space, point, state)
    (moment,) = second_moments(model, x)
    return Reordering(editor, group, order, moment, 1), PathLoss(space, (x, y))


def highest(path, measure):
    """Over all of the path, not only where the choice looks."""
    return measure.worst(path, np.linspace(0, 1, 8 * path.num_segments + 1).tolist())


def silent():
    return ProgressBar("reordering", len(STAGES), verbose=0)


def test_the_highest_loss_is_where_it_is_looked_for(reordering_and_measure):
    reordering, measure = reordering_and_measure
    for way in WAYS:
        fork, places = reordering.by(way)
        path = fork.path()
        looked = measure.worst(path, [place / path.num_segments for place in places])
        ends = measure.worst(path, [0.0, 1.0])
        assert max(looked, ends) == pytest.approx(highest(path, measure), rel=0.02), way


def test_a_way_is_tried_only_where_those_before_cost_more(reordering_and_measure):
    reordering, measure = reordering_and_measure
    lengths = {way: reordering.by(way)[0].path().num_segments for way in WAYS}
    assert len(set(lengths.values())) == len(WAYS)
    losses = {
        way: measure.worst(fork.path(), [place / len(fork.segments) for place in places])
        for way in WAYS
        for fork, places in [reordering.by(way)]
    }

    def chosen(limit):
        path = reordering.by_the_best(STAGES, measure, limit, silent()).path()
        (way,) = [way for way, length in lengths.items() if length == path.num_segments]
        return way

    assert chosen(np.inf) == WAYS[0]
    assert chosen(0.0) == min(losses, key=losses.get)
    for way in WAYS:
        within = [name for name in WAYS if losses[name] <= losses[way]]
        assert chosen(losses[way]) == within[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_above_the_limit_is_a_knot(reordering_and_measure, way):
    reordering, measure = reordering_and_measure
    path = reordering.by_the_best([way], measure, 0.0, silent()).path()
    assert len(path.knots) == 3
    assert measure.worst(path, path.knots) == pytest.approx(highest(path, measure), rel=0.02)
    assert len(reordering.by_the_best([way], measure, np.inf, silent()).path().knots) == 2


def test_of_many_losses_the_highest_are_knots(reordering_and_measure):
    reordering, _ = reordering_and_measure
    fork, _ = reordering.by("swaps")
    again = fork.fork()
    for place, height in {0.1: 1.0, 0.2: 3.0, 0.3: np.inf, 0.4: 2.0, 0.5: 4.0}.items():
        again.mark(place, height)
    again.add([])
    begun = len(fork.segments)
    fork.append(again)
    expected = (begun + np.array([0.2, 0.3, 0.5])) / (begun + 1)
    np.testing.assert_allclose(fork.path().marks, expected)
