import numpy as np
import pytest

from mc_keras.connectors.path_loss import PathLoss
from mc_keras.connectors.permutation_stage import SlotEditor
from mc_keras.connectors.reordering import MOST_TRIES, Reordering
from mc_keras.progress import ProgressBar
from mc_keras.units import permute, unit_groups
from mc_keras.units.activations import second_moments
from mc_keras.weight_space import WeightSpace
from tests.networks import classification_data, dense_network, train

WAYS = ["one_slot", "half_free", "swaps"]


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
        bar = ProgressBar("reordering", MOST_TRIES, verbose=0)
        path = reordering.by_the_best(measure, limit, bar).path()
        (way,) = [way for way, length in lengths.items() if length == path.num_segments]
        return way

    assert chosen(np.inf) == WAYS[0]
    assert chosen(0.0) == min(losses, key=losses.get)
    for way in WAYS:
        within = [name for name in WAYS if losses[name] <= losses[way]]
        assert chosen(losses[way]) == within[0]
