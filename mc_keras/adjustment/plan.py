"""What each leg of a layer by layer path does, known before anything is solved."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mc_keras.adjustment.steps import Step
from mc_keras.paths import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stepwise:
    """How a path goes layer by layer.

    Attributes:
        refit: Whether the next layers are solved for all along a leg, or only at its end and taken
            there together with the layer, unit by unit.
        arc: The middle of the arcs that units move along: the mean of the `"units"`, or `"none"`
            for zero; straight lines if not given.
        along: Path that layers follow while others are solved for, instead of a line or an arc: at
            the breakpoints, and straight between them.
        target: What the heads are fitted to: their outputs in the `"start"`, in the `"end"`, or the
            `"blend"` of both along the last leg.
        num_breakpoints: Number of points of a leg at which the weights are solved for, both ends
            included.
        ridge: See `NormalEquations`.
        pseudo_inverse: Solve without a prior, by the pseudo-inverse; each leg then begins with a
            segment that leads to the first solution.
        num_examples: How many examples, drawn at random, are used; if not given, as many as can be
            held in memory. Of more, the activations go to temporary files.
        num_positions: Most output positions of a convolution that are used of each example.
        seed: Of the choice of examples and positions.
    """

    refit: bool = True
    arc: Literal["units", "none"] | None = None
    along: Path | None = None
    target: str = "blend"
    num_breakpoints: int = 9
    ridge: float = 1e-4
    pseudo_inverse: bool = False
    num_examples: int | None = None
    num_positions: int = 16
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Leg:
    """One leg: a step is made, and what reads it is solved for.

    Attributes:
        step: The step.
        turns: Whether all heads go over to the end in this leg.
        fits_end: Whether they are solved for on the way there, so that what they are fitted to is
            in part the end's.
        times: Where along the leg is solved, from 0 to 1.
        target: See `Stepwise`.
    """

    step: Step
    turns: bool
    fits_end: bool
    times: list[float]
    target: str

    def share(self, time: float) -> float:
        """How much of what heads are fitted to at some time is of the end."""
        if not self.fits_end:
            return 0.0
        return 1.0 if self.target == "end" else time

    def is_over(self, time: float) -> bool:
        """Whether what reads has the weights of the end by then, and need not be solved for."""
        return time == 1.0 and self.fits_end

    @property
    def num_solutions(self) -> int:
        """How many layers are solved for, all times together."""
        return len(self.step.consumers) * sum(not self.is_over(time) for time in self.times)


def plan_legs(
    steps: Sequence[Step], moving: Sequence[int], heads: Sequence[int], how: Stepwise
) -> list[Leg]:
    """A leg for each step.

    Args:
        steps: The steps.
        moving: Numbers of those in which something moves.
        heads: Numbers of the calls of the heads.
        how: The options.
    """
    # The last leg in which heads are read: there all of them go over to the end.
    reads_heads = [k for k in moving if set(heads) & set(steps[k].consumers)]
    turning = reads_heads[-1] if reads_heads and how.target != "start" else None
    legs = []
    for k, step in enumerate(steps):
        turns = k == turning
        times = _times(how, turns=turns) if step.consumers and k in moving else []
        legs.append(Leg(step, turns, how.refit and turns, times, how.target))
    return legs


def _times(how: Stepwise, *, turns: bool) -> list[float]:
    if not how.refit:
        return [] if turns else [1.0]
    times = np.linspace(0, 1, how.num_breakpoints).tolist()
    # At the beginning the weights are the solution, but for another prior or another target.
    solves_first = how.pseudo_inverse or (turns and how.target == "end")
    return times if solves_first else times[1:]
