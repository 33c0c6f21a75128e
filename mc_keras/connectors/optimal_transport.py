"""Optimal transport of the hidden units, and back to their own order."""

from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.connectors.base import Connector
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.permutation_stage import SlotEditor, Slots, half_free, one_slot, swaps
from mc_keras.paths import Path, PiecewisePath
from mc_keras.tasks import infer_loss
from mc_keras.units import UnitGroup, match_units, permute_all
from mc_keras.units.activations import second_moments
from mc_keras.weight_space import WeightSpace, clone

_RIDGE = 1e-4
_BATCH = 500


class OptimalTransport(Connector):
    """Units of one network go to the units of the other that are nearest, then to their own slots.

    Stage one, `t` in `[0, 1/2]`, leads from the start to the end network with its hidden units
    reordered to be as near to the start as possible. Stage two reorders them, group by group,
    until the end is reached bit for bit.

    Args:
        end: `"exact"`, or `"permuted"` to stop after stage one: the path then ends at the
            reordered network, which is the same function as the end.
        along: Connector of stage one: `Linear()`, the default, or `Arc()`.
        match: `"weights"`, `"activations"` or `"both"`, see `mc.units.match_units`; all but the
            first need data.
        stage: How units are reordered: `"swaps"` of pairs along straight lines, as in the paper;
            `"one_slot"`, through the slot of one unit, freed by taking its outgoing weights away
            and refitting those of the others; `"half_free"`, the same with half of the slots, in
            seven segments; `"auto"` for the best of the three by the loss on the data, `"swaps"`
            without data. Groups in which a weight leads from unit to unit, as in recurrent layers,
            are always swapped.
        simultaneous_swaps: Number of swaps in one segment. Fewer, longer segments, a higher loss.
        num_examples: Number of examples, from the first on, for refitting and for the loss.

    Raises:
        ValueError: If an option is unknown or out of range.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.4. Kuditipudi et al., 2019, lemma 4, for slots
        freed of their outgoing weights.
    """

    name = "ot"
    uses_data = True

    def __init__(
        self,
        *,
        end: Literal["exact", "permuted"] = "exact",
        along: Connector | None = None,
        match: Literal["weights", "activations", "both"] = "weights",
        stage: Literal["auto", "swaps", "one_slot", "half_free"] = "auto",
        simultaneous_swaps: int = 1,
        num_examples: int = 2000,
    ):
        if end not in ("exact", "permuted"):
            raise ValueError(f"OptimalTransport takes end='exact' or 'permuted', not end={end!r}.")
        if stage not in ("auto", "swaps", "one_slot", "half_free"):
            raise ValueError(
                "OptimalTransport takes stage='auto', 'swaps', 'one_slot' or 'half_free', not "
                f"stage={stage!r}."
            )
        if simultaneous_swaps < 1 or num_examples < 1:
            raise ValueError(
                "OptimalTransport needs at least one swap at a time and one example, received "
                f"simultaneous_swaps={simultaneous_swaps}, num_examples={num_examples}."
            )
        self.end = end
        self.along = along if along is not None else Linear()
        self.match = match
        self.stage = stage
        self.simultaneous_swaps = simultaneous_swaps
        self.num_examples = num_examples

    @property
    def reaches_end(self) -> bool:  # type: ignore[override]
        """See `Connector`."""
        return self.end == "exact"

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any = None,
        *,
        seed: int = 0,
        verbose: int = 0,
    ) -> Path:
        """See `Connector`."""
        if data is None and (self.match != "weights" or self.stage in ("one_slot", "half_free")):
            raise ValueError(
                f"OptimalTransport(match={self.match!r}, stage={self.stage!r}) needs data: pass "
                "data=(x, y), or match by weights and reorder by swaps."
            )
        if data is not None:
            data = tuple(array[: self.num_examples] for array in data)
        x = None if data is None else data[0]
        matching = match_units(start, end, by=self.match, x=x, seed=seed)
        b = WeightSpace(end)
        reordered = WeightSpace(clone(end))
        reordered.write(
            *permute_all(matching.groups, matching.permutations, b.read(), b.read_state())
        )
        first = self.along.connect(space, start, reordered.model, data, seed=seed, verbose=verbose)
        editor = SlotEditor(space, reordered.read(), reordered.read_state())
        if self.end == "exact":
            moments: list[NDArray | None] = [None] * len(matching.groups)
            if x is not None and self.stage != "swaps":
                moments = second_moments(end, x)
            measure = _Measure(space, data, first) if self._measures(data) else None
            # The last group to be permuted is the first to be put back.
            triples = zip(matching.groups, matching.permutations, moments, strict=True)
            for group, order, moment in reversed(list(triples)):
                if not np.array_equal(order, np.arange(group.size)):
                    self._reorder(editor, group, order, moment, measure)
        if not editor.segments:
            return first
        return PiecewisePath([first, editor.path()], [0.0, 0.5, 1.0])

    def _measures(self, data: Any) -> bool:
        return self.stage == "auto" and data is not None

    def _reorder(
        self,
        editor: SlotEditor,
        group: UnitGroup,
        order: NDArray[np.int64],
        moment: NDArray | None,
        measure: "_Measure | None",
    ) -> None:
        """Put the units of one group into their own slots."""
        free_stages = {"half_free": (group.size + 1) // 2, "one_slot": 1}
        if self.stage in free_stages:
            free_stages = {self.stage: free_stages[self.stage]}
        elif measure is None:
            free_stages = {}
        tried = []
        for stage, number in free_stages.items():
            fork = editor.fork()
            slots = Slots(group, fork)
            if not (slots.separate and slots.axes["in"] and slots.axes["out"]):
                break
            free, compensation = _choose_free(slots, order, moment, number)
            (half_free if stage == "half_free" else one_slot)(slots, order, free, compensation)
            loss = 0.0 if measure is None else measure.worst(fork)
            tried.append((loss, fork))
            if measure is None or loss <= measure.limit:
                editor.append(fork)
                return
        fork = editor.fork()
        swaps(Slots(group, fork), order, self.simultaneous_swaps)
        tried.append((0.0 if measure is None else measure.worst(fork), fork))
        editor.append(min(tried, key=lambda pair: pair[0])[1])


def _choose_free(
    slots: Slots, order: NDArray[np.int64], moment: NDArray | None, number: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The units that matter least, and what each other unit takes over of their activations.

    Least squares on the activations, with a ridge. Units whose activations are not seen matter by
    the length of their incoming weights, and nothing is taken over.
    """
    where = np.argsort(order)
    lengths = {
        role: np.sqrt(sum(np.sum(np.square(rows, dtype="float64"), 1) for rows in slots.rows(role)))
        for role in ("in", "out")
    }
    scale = lengths["in"][where] if moment is None else np.sqrt(moment.diagonal())
    free = np.sort(np.argsort(scale * lengths["out"][where], kind="stable")[:number])
    kept = np.setdiff1d(np.arange(slots.size), free)
    if moment is None:
        return free, np.zeros((len(kept), number))
    ridge = _RIDGE * max(float(moment.diagonal().mean()), 1e-30)
    system = moment[np.ix_(kept, kept)] + ridge * np.eye(len(kept))
    return free, np.linalg.solve(system, moment[np.ix_(kept, free)])


class _Measure:
    """The loss on the data, at a few positions of a path.

    Args:
        space: Weight space of the architecture.
        data: `(x, y)`.
        first: Stage one, which says what loss is good enough.

    Attributes:
        limit: The highest loss on stage one.
    """

    def __init__(self, space: WeightSpace, data: tuple[NDArray, NDArray], first: Path):
        self.space, (self.x, self.y) = space, data
        self.loss = infer_loss(space.model, self.y)
        self.limit = max(self._at(first, t) for t in (0.0, 0.25, 0.5, 0.75, 1.0))

    def worst(self, editor: SlotEditor) -> float:
        """The highest loss in the middle of some segments, and where the first one ends."""
        path = editor.path()
        count = path.num_segments
        middles = np.unique(np.linspace(0, count - 1, 6).round()) + 0.5
        return max(self._at(path, t) for t in [*(middles / count).tolist(), 1 / count])

    def _at(self, path: Path, t: float) -> float:
        point, state = path(t), path.state(t)
        total = 0.0
        for begin in range(0, len(self.x), _BATCH):
            x, y = self.x[begin : begin + _BATCH], self.y[begin : begin + _BATCH]
            value = self.loss(y, self.space(point, x, state=state))
            total += float(keras.ops.convert_to_numpy(value)) * len(x)
        return total / len(self.x)
