"""How the units of one group are put into their own slots: one way, or the best of several."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mc_keras.connectors.path_loss import PathLoss
from mc_keras.connectors.permutation_stage import (
    MOST_MARKS,
    SlotEditor,
    Slots,
    half_free,
    lengths,
    one_slot,
    swaps,
)
from mc_keras.progress import ProgressBar
from mc_keras.units import UnitGroup

STAGES = ("one_slot", "half_free", "swaps")  # in the order in which they are tried
_RIDGE = 1e-4
_MEASURED_SWAPS = 8  # in the middle of those that may change the outputs most


class Reordering:
    """The ways to put the units of one group into their own slots.

    Args:
        editor: Where they are to be put there.
        group: The group.
        order: The unit in each slot.
        moment: Mean products of the activations, where they are known.
        simultaneous: Number of swaps in one segment.
    """

    def __init__(
        self,
        editor: SlotEditor,
        group: UnitGroup,
        order: NDArray[np.int64],
        moment: NDArray | None,
        simultaneous: int,
    ):
        self.editor, self.group, self.order, self.moment = editor, group, order, moment
        self.simultaneous = simultaneous
        self.can_be_freed = Slots(group, editor).can_be_freed and not group.reduced

    def by(self, stage: str) -> tuple[SlotEditor, list[float]]:
        """A fork of the editor in which they are there, and where to look for its highest loss.

        Only swaps do not need slots that can be freed. Positions are counted in segments.
        """
        if stage == "swaps":
            fork, bumps = self._swapped()
            return fork, (np.argsort(bumps)[-_MEASURED_SWAPS:] + 0.5).tolist()
        fork = self.editor.fork()
        slots = Slots(self.group, fork)
        number = (self.group.size + 1) // 2 if stage == "half_free" else 1
        free, compensation = _choose_free(slots, self.order, self.moment, number)
        (half_free if stage == "half_free" else one_slot)(slots, self.order, free, compensation)
        # From the end of the first segment to the beginning of the last one the function does not
        # change, and the last one goes through the functions of the first.
        return fork, [0.5, 1.0]

    def without_data(self) -> SlotEditor:
        """A fork of the editor in which they are swapped, with marks where that may matter most."""
        fork, bumps = self._swapped()
        for swap in np.argsort(bumps)[-MOST_MARKS:]:
            fork.mark(swap + 0.5, bumps[swap])
        return fork

    def by_the_best(
        self, stages: Sequence[str], measure: PathLoss, limit: float, bar: ProgressBar
    ) -> SlotEditor:
        """A fork of the editor in which they are there, along a loss in the limit or the lowest.

        Where all of them cost more the fork has a mark at its highest loss.

        Args:
            stages: What to try, where slots can be freed; where not, units are swapped.
            measure: The loss.
            limit: The loss of stage one: the next way is tried only where the last one costs more.
            bar: Is told of every try.
        """
        tried = []
        for stage in stages if self.can_be_freed else ("swaps",):
            tried.append(self._measured(stage, measure))
            bar.add(1)
            if tried[-1][0] <= limit:
                break
        loss, place, fork = min(tried, key=lambda found: found[0])
        if loss > limit:
            fork.mark(place, loss)
        return fork

    def _measured(self, stage: str, measure: PathLoss) -> tuple[float, float, SlotEditor]:
        """The highest loss, where it is, and the fork."""
        fork, places = self.by(stage)
        losses = measure.at(fork.path(), [place / len(fork.segments) for place in places])
        worst = int(np.argmax(losses))
        return losses[worst], places[worst], fork

    def _swapped(self) -> tuple[SlotEditor, NDArray[np.float64]]:
        """A fork in which they are swapped, and how much the middle of each segment may change."""
        fork = self.editor.fork()
        return fork, swaps(Slots(self.group, fork), self.order, self.simultaneous)


def _choose_free(
    slots: Slots, order: NDArray[np.int64], moment: NDArray | None, number: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The units that matter least, and what each other unit takes over of their activations.

    Least squares on the activations, with a ridge. Units whose activations are not seen matter by
    the length of their incoming weights, and nothing is taken over.
    """
    where = np.argsort(order)
    scale = lengths(slots.rows("in"))[where] if moment is None else np.sqrt(moment.diagonal())
    outgoing = lengths(slots.rows("out"))[where]
    free = np.sort(np.argsort(scale * outgoing, kind="stable")[:number])
    kept = np.setdiff1d(np.arange(slots.size), free)
    if moment is None:
        return free, np.zeros((len(kept), number))
    ridge = _RIDGE * max(float(moment.diagonal().mean()), 1e-30)
    system = moment[np.ix_(kept, kept)] + ridge * np.eye(len(kept))
    return free, np.linalg.solve(system, moment[np.ix_(kept, free)])
