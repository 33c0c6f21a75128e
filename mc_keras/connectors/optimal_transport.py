"""Optimal transport of the hidden units, and back to their own order."""

from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.cloning import clone
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.options import one_of, whole
from mc_keras.connectors.path_loss import PathLoss
from mc_keras.connectors.permutation_stage import SlotEditor
from mc_keras.connectors.reordering import STAGES, Reordering
from mc_keras.data import subset
from mc_keras.paths import Path, PiecewisePath
from mc_keras.progress import ProgressBar
from mc_keras.units import Matching, match_units, permute_all, unit_groups
from mc_keras.units.activations import second_moments
from mc_keras.weight_space import WeightSpace

MATCHES: tuple[Literal["weights", "activations", "both"], ...] = ("weights", "activations", "both")
# Of as many examples ways to put units back are told apart; of more, networks run for longer.
_FOR_LOSS = 2000
# Where the loss of stage one is measured.
SCAN = (0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0)


class OptimalTransport(Connector):
    """Units of one network go to the units of the other that are nearest, then to their own slots.

    Stage one, `t` in `[0, 1/2]`, leads from the start to the end network with its hidden units
    reordered to be as near to the start as possible. Stage two reorders them, group by group,
    until the end is reached bit for bit.

    Args:
        end: `"exact"`, or `"permuted"` to stop after stage one: the path then ends at the
            reordered network, which is the same function as the end.
        along: Connector of stage one: `Linear()` if not given.
        match: `"weights"`, `"incoming"` for incoming weights alone, as in the paper where weights
            are adjusted, `"activations"` or `"both"`, see `mc.units.match_units`; the last two need
            data.
        stage: How units are reordered: `"swaps"` of pairs along straight lines, as in the paper;
            `"one_slot"`, through the slot of one unit, freed by taking its outgoing weights away
            and refitting those of the others; `"half_free"`, the same with half of the slots, in
            seven segments; `"auto"`, for each group of units, for the first of one slot, half of
            the slots and swaps whose loss on the data is no higher than that of stage one, or else
            for the one of lowest loss, `"swaps"` without data. Groups that a layer or group
            normalization, a softmax or another reduction over the units reads are always swapped,
            and so are words that are both read and scored: no slot of theirs is free. Where the
            loss found is higher than that of stage one all the same, and without data where swaps
            may change the outputs most, the path has knots, three at most: evaluation looks there.
        simultaneous_swaps: Number of swaps in one segment. Fewer, longer segments, a higher loss.
        num_examples: Number of examples, drawn at random, for matching, for refitting and, of these
            2000 at most, for the loss; stage one has them all.
        on_unknown: What to do at a layer without a unit rule: `"error"`, or `"end"` to leave the
            units that reach it in their order, see `mc.units.unit_groups`.

    Raises:
        TypeError: If `along` is no connector.
        ValueError: If an option is unknown or out of range, or `along` stops before the end.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.4. Kuditipudi et al., 2019, lemma 4, for slots
        freed of their outgoing weights.
    """

    uses_data = True

    def __init__(
        self,
        *,
        end: Literal["exact", "permuted"] = "exact",
        along: Connector | None = None,
        match: Literal["weights", "incoming", "activations", "both"] = "weights",
        stage: Literal["auto", "swaps", "one_slot", "half_free"] = "auto",
        simultaneous_swaps: int = 1,
        num_examples: int = 2000,
        on_unknown: Literal["error", "end"] = "error",
    ):
        along = Linear() if along is None else along
        if not isinstance(along, Connector):
            raise TypeError(
                "OptimalTransport takes a connector such as mc.connectors.Arc() for stage one, "
                f"received along={along!r:.80}."
            )
        if not along.reaches_end:
            raise ValueError(
                "OptimalTransport takes a connector for stage one that reaches the end, received "
                f"along={type(along).__name__}(...), which stops at a reordering of it: leave out "
                "its end='permuted'."
            )
        self.end = one_of(self, "end", end, ("exact", "permuted"))
        self.along = along
        self.match = one_of(self, "match", match, ("incoming", *MATCHES))
        self.stage = one_of(self, "stage", stage, ("auto", *STAGES))
        self.simultaneous_swaps = whole(self, "simultaneous_swaps", simultaneous_swaps)
        self.num_examples = whole(self, "num_examples", num_examples)
        self.on_unknown = one_of(self, "on_unknown", on_unknown, ("error", "end"))

    @property
    def name(self) -> str:  # type: ignore[override]
        """`"ot"`, or `"alignment"` if it stops there, and what `along` adds to a straight line.

        Units that are aligned by activations alone are said to be: `"activation_alignment"`.
        """
        line, _, added = self.along.name.partition("+")
        alignment = "activation_alignment" if self.match == "activations" else "alignment"
        parts = ["ot" if self.end == "exact" else alignment]
        parts += [] if line == "linear" else [line]
        return "+".join([*parts, added] if added else parts)

    @property
    def summary(self) -> str | None:  # type: ignore[override]
        """Of an alignment what it is, which is less than the docstring says."""
        if self.end == "exact":
            return None
        how = {
            "weights": "whose weights are nearest",
            "incoming": "whose incoming weights are nearest",
            "activations": "whose activations correlate most",
            "both": "nearest by weights and activations",
        }[self.match]
        return (
            f"Units of one network are matched one to one to those of the other {how}; the path "
            "ends at the other network with its units in that order, the same function. "
            "(Ainsworth, Hayase and Srinivasa, Git Re-Basin, 2023, section 3.)"
        )

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """See `Connector`."""
        by_data = self.match in ("activations", "both") or self.stage in ("one_slot", "half_free")
        return by_data or self.along.needs_data

    @property
    def reaches_end(self) -> bool:  # type: ignore[override]
        """See `Connector`."""
        return self.end == "exact"

    def applies_to(self, network: keras.Model) -> bool:
        """See `Connector`."""
        try:
            self.check_units(network)
        except (TypeError, ValueError):
            return False
        return self.along.applies_to(network)

    def check_units(self, network: keras.Model) -> None:
        """See `Connector`."""
        unit_groups(network, self.on_unknown)
        super().check_units(network)

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> Path:
        """See `Connector`."""
        few = None if data is None else subset(data, self.num_examples, job.seed)
        matching, reordered = self._reordered(start, end, few, job)
        first = self.along.connect(space, start, reordered.model, data, job)
        if self.end == "permuted":
            return first
        stages = STAGES if self.stage == "auto" else (self.stage,)
        moments: list[NDArray | None] = [None] * len(matching.groups)
        if few is not None and self.stage != "swaps":
            moments = second_moments(end, few[0], verbose=job.verbose)
        measure, limit = None, 0.0
        if few is not None:
            measure = PathLoss(space, subset(few, _FOR_LOSS, job.seed))
            limit = measure.worst(first, SCAN, verbose=job.verbose)
        editor = SlotEditor(space, reordered.read(), reordered.read_state())
        # The last group to be permuted is the first to be put back.
        triples = list(zip(matching.groups, matching.permutations, moments, strict=True))
        bar = ProgressBar("reordering", len(stages) * len(triples), verbose=job.verbose)
        for number, (group, order, moment) in enumerate(reversed(triples), 1):
            if not np.array_equal(order, np.arange(group.size)):
                reordering = Reordering(editor, group, order, moment, self.simultaneous_swaps)
                if measure is None:
                    editor.append(reordering.without_data())
                else:
                    editor.append(reordering.by_the_best(stages, measure, limit, bar))
            bar.reach(len(stages) * number)
        if not editor.segments:
            return first
        return PiecewisePath([first, editor.path()], [0.0, 0.5, 1.0])

    def _reordered(
        self, start: keras.Model, end: keras.Model, data: Any, job: Job
    ) -> tuple[Matching, WeightSpace]:
        """The matching, and a copy of the end with its units in that order."""
        x = None if data is None else data[0]
        matching = match_units(
            start,
            end,
            by=self.match,
            x=x,
            seed=job.seed,
            on_unknown=self.on_unknown,
            verbose=job.verbose,
        )
        b = WeightSpace(end)
        reordered = WeightSpace(clone(end))
        reordered.write(
            *permute_all(matching.groups, matching.permutations, b.read(), b.read_state())
        )
        return matching, reordered
