"""What each leg does: where it is solved, and which one turns to the end's outputs."""

import numpy as np
import pytest

from mc_keras.adjustment.plan import Stepwise, plan_legs
from mc_keras.adjustment.steps import Step

# A chain of three layers, the last of them the head, and nothing that reads that.
STEPS = [Step([0], 0, [0], [], [2]), Step([2], 2, [1], [], [4]), Step([4], 4, [2], [], [])]


def plan(how, moving=(0, 1, 2)):
    return plan_legs(STEPS, moving, [4], how)


@pytest.mark.parametrize(
    ("options", "moving", "times", "turns", "solutions"),
    [
        ({}, (0, 1, 2), [[0.5, 1.0], [0.5, 1.0], []], 1, [2, 1, 0]),
        ({"target": "end"}, (0, 1, 2), [[0.5, 1.0], [0.0, 0.5, 1.0], []], 1, [2, 2, 0]),
        ({"target": "start"}, (0, 1, 2), [[0.5, 1.0], [0.5, 1.0], []], None, [2, 2, 0]),
        ({"pseudo_inverse": True}, (0, 1, 2), [[0.0, 0.5, 1.0]] * 2 + [[]], 1, [3, 2, 0]),
        ({"refit": False}, (0, 1, 2), [[1.0], [], []], 1, [1, 0, 0]),
        ({}, (0,), [[0.5, 1.0], [], []], None, [2, 0, 0]),
        ({}, (1, 2), [[], [0.5, 1.0], []], 1, [0, 1, 0]),
    ],
)
def test_where_a_leg_is_solved(options, moving, times, turns, solutions):
    legs = plan(Stepwise(num_breakpoints=3, **options), moving)
    assert [leg.times for leg in legs] == times
    assert [k for k, leg in enumerate(legs) if leg.turns] == ([] if turns is None else [turns])
    assert [leg.num_solutions for leg in legs] == solutions


@pytest.mark.parametrize(
    ("target", "shares"), [("start", [0, 0, 0]), ("blend", [0, 0.5, 1]), ("end", [1, 1, 1])]
)
def test_only_the_turning_leg_is_fitted_to_the_end(target, shares):
    first, second, _ = plan(Stepwise(target=target))
    times = np.linspace(0, 1, 3)
    assert [first.share(t) for t in times] == [0, 0, 0]
    assert [second.share(t) for t in times] == shares
    assert not plan(Stepwise(target=target, refit=False))[1].share(1.0)
