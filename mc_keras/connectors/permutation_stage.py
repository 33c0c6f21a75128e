"""From a network with reordered hidden units to the network itself, along almost no loss.

The units of one group are moved to their own slots. Slot `s` holds unit `order[s]` at the start
and unit `s` at the end. A unit is its incoming weights (with its bias and its batch norm) and its
outgoing weights; all of a unit is copied bit for bit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mc_keras.paths.edits import Change, EditsPath
from mc_keras.units import UnitGroup
from mc_keras.weight_space import WeightSpace

_Axis = tuple[int, NDArray[np.integer]]

MOST_MARKS = 3  # of a path: each is one more point to evaluate


class SlotEditor:
    """Records the edits of a path that starts at a network with reordered units.

    Args:
        space: Weight space of the architecture.
        point: The point to start from; not changed.
        state: Its state.
    """

    def __init__(self, space: WeightSpace, point: Sequence[NDArray], state: Sequence[NDArray]):
        self.space = space
        self.start = [np.array(array) for array in (*point, *state)]
        self.now = [array.copy() for array in self.start]
        self.segments: list[list[Change]] = []
        self._marks: list[tuple[float, float]] = []

    def add(self, changes: Sequence[Change]) -> None:
        """Add a segment to the end of which `changes` lead."""
        for number, positions, values in changes:
            self.now[number].reshape(-1)[positions] = values
        self.segments.append(list(changes))

    def mark(self, position: float, height: float) -> None:
        """Have the path evaluated at a position, counted in segments.

        Args:
            position: The position.
            height: How high the loss is there, in whichever unit: the highest ones are kept.
        """
        self._marks.append((height, position))

    def fork(self) -> "SlotEditor":
        """An editor that starts where this one is now."""
        count = len(self.space.variables)
        return SlotEditor(self.space, self.now[:count], self.now[count:])

    def append(self, other: "SlotEditor") -> None:
        """Add the segments and the marks of an editor forked from this one."""
        self._marks += [(height, len(self.segments) + place) for height, place in other._marks]
        for changes in other.segments:
            self.add(changes)

    def path(self) -> EditsPath:
        """The path of all segments."""
        count = len(self.space.variables)
        return EditsPath(
            self.space,
            self.start[:count],
            self.start[count:],
            self.segments,
            marks=[p / len(self.segments) for _, p in sorted(self._marks)[-MOST_MARKS:]],
        )


class Slots:
    """The weights of a group's units in the arrays of an editor.

    Args:
        group: The group.
        editor: The editor.
    """

    def __init__(self, group: UnitGroup, editor: SlotEditor):
        self.editor, self.size = editor, group.size
        self.axes: dict[str, list[_Axis]] = {"in": [], "out": []}
        count = len(editor.space.variables)
        for axis in group.axes:
            number = axis.variable if axis.trainable else count + axis.variable
            index = np.arange(editor.start[number].size, dtype=np.int32)
            positions = axis.take(index.reshape(editor.start[number].shape))
            self.axes[axis.role].append((number, positions))

    @property
    def can_be_freed(self) -> bool:
        """Whether a slot without outgoing weights can take over the unit of another slot.

        Where a weight leads from unit to unit, as in recurrent layers and on streams that a layer
        reads and adds to, its rows go out and its columns come in: a column that is copied into a
        free slot brings no outgoing weight with it. Where the rows of a weight do both, as of words
        that are read and scored, no slot is free.
        """
        incoming, outgoing = (dict(self.axes[role]) for role in ("in", "out"))
        if not incoming or not outgoing:
            return False
        both = incoming.keys() & outgoing.keys()
        once = len(incoming) + len(outgoing) == sum(map(len, self.axes.values()))
        return once and all(_stays_free(incoming[n], outgoing[n]) for n in both)

    def in_own_slots(self, order: NDArray[np.int64]) -> dict[int, NDArray]:
        """The present weights, flat, as they would be with each unit in its own slot."""
        where = np.argsort(order)
        arrays = {
            number: self.editor.now[number].reshape(-1).copy()
            for axes in self.axes.values()
            for number, _ in axes
        }
        for axes in self.axes.values():
            for number, positions in axes:
                arrays[number][positions] = arrays[number][positions[where]]
        return arrays

    def rows(self, role: str, slots: Any = slice(None)) -> list[NDArray]:
        """The present weights in some slots: for each axis an array `(slots, width)`."""
        return [
            self.editor.now[number].reshape(-1)[positions[slots]]
            for number, positions in self.axes[role]
        ]

    def changes(self, role: str, slots: Any, rows: Sequence[NDArray]) -> list[Change]:
        """Changes that put `rows`, one array for each axis, into `slots`."""
        return [
            (number, positions[slots].ravel(), np.asarray(values).ravel())
            for (number, positions), values in zip(self.axes[role], rows, strict=True)
        ]


def _stays_free(incoming: NDArray[np.integer], outgoing: NDArray[np.integer]) -> bool:
    """Whether a slot without outgoing weights has none after incoming ones are copied into it.

    Args:
        incoming: Positions of the slots' incoming weights in an array.
        outgoing: Likewise of their outgoing weights.
    """
    both = np.isin(incoming[0], outgoing[0])
    return bool(np.isin(incoming[1][both], outgoing[0]).all())


def lengths(rows: Iterable[NDArray]) -> NDArray[np.float64]:
    """Length of each unit's weights, given as for each axis an array `(units, width)`; L2."""
    return np.sqrt(sum(np.sum(np.square(array, dtype="float64"), 1) for array in rows))


def swaps(slots: Slots, order: NDArray[np.int64], simultaneous: int = 1) -> NDArray[np.float64]:
    """Swap pairs of units along straight lines, as the paper does.

    Every permutation is made by two rounds of swaps in each of which no unit is swapped twice.

    Args:
        slots: The slots.
        order: The unit in each slot at the start.
        simultaneous: Number of swaps in one segment.

    Returns:
        For each segment, about how far its middle changes what the next layers are given.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.4.
    """
    found = []
    for batch in _batches(order, simultaneous):
        first, second = np.array(batch).T
        found.append(_bump(slots, first, second))
        changes: dict[int, dict[str, NDArray]] = {}
        now = {n: slots.editor.now[n].reshape(-1) for axes in slots.axes.values() for n, _ in axes}
        for axes in slots.axes.values():
            for number, positions in axes:
                known = changes.setdefault(number, {"positions": np.zeros(0, np.int32)})
                here, there = positions[first].ravel(), positions[second].ravel()
                now[number][here], now[number][there] = now[number][there], now[number][here]
                known["positions"] = np.union1d(known["positions"], np.r_[here, there])
        slots.editor.add([(n, c["positions"], now[n][c["positions"]]) for n, c in changes.items()])
    return np.array(found)


def _batches(order: NDArray[np.int64], size: int) -> list[list[tuple[int, int]]]:
    """Pairs of slots to swap, at most `size` at a time, no slot twice at a time.

    A cycle is turned by one as a regular polygon is: by two reflections.
    """
    rounds: tuple[list[tuple[int, int]], ...] = ([], [])
    seen: set[int] = set()
    for slot in range(len(order)):
        cycle = []
        while slot not in seen:
            seen.add(slot)
            cycle.append(slot)
            slot = int(order[slot])
        for pairs, polygon in zip(rounds, (cycle, cycle[1:]), strict=True):
            half = len(polygon) // 2
            pairs += zip(polygon[:half], polygon[: -half - 1 : -1], strict=True)
    return [pairs[begin : begin + size] for pairs in rounds for begin in range(0, len(pairs), size)]


def _bump(slots: Slots, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """About how far the middle of some swaps changes what the next layers are given.

    Between units with pre-activations `z` and `y` and outgoing weights `a` and `b` at most
    `|z - y| * (2 * |a - b| + |a| + |b|) / 4`, for a convex activation with slopes in `[0, 1]`. Here
    `|z - y|` is taken for proportional to the distance of the incoming weights.
    """
    z, y = (slots.rows("in", chosen) for chosen in (first, second))
    a, b = (slots.rows("out", chosen) for chosen in (first, second))
    apart = 2 * lengths(map(np.subtract, a, b)) + lengths(a) + lengths(b)
    return float(np.sum(lengths(map(np.subtract, z, y)) * apart))


def one_slot(
    slots: Slots, order: NDArray[np.int64], free: NDArray[np.int64], compensation: NDArray
) -> None:
    """Free the slot of one unit, move the others through it one by one, restore.

    See `_drop` for the first segment and for the arguments. A unit moves in two segments: its
    incoming weights are copied into the free slot, whose outgoing weights are zero; its outgoing
    weights are shifted there, while both slots compute the same. Neither changes the function.
    """
    _, originals, dropped = _drop(slots, order, free, compensation)
    unit = int(free[0])
    order, where = order.copy(), np.argsort(order)
    hole = int(where[unit])
    misplaced = [slot for slot in range(slots.size) if order[slot] != slot and order[slot] != unit]
    while True:
        while misplaced and order[misplaced[-1]] in (misplaced[-1], unit):
            misplaced.pop()
        if hole != unit:
            source = int(where[hole])
        elif misplaced:
            source = misplaced[-1]
        else:
            break
        _move(slots, np.array([source]), np.array([hole]))
        moved = order[source]
        order[hole], where[moved] = moved, hole
        order[source], where[unit] = unit, source
        hole = source
    _restore(slots, free, originals, dropped)


def half_free(
    slots: Slots, order: NDArray[np.int64], free: NDArray[np.int64], compensation: NDArray
) -> None:
    """Free half of the slots, move the other units in two steps, restore: seven segments.

    See `one_slot`; `free` holds at least half of the units.
    """
    kept, originals, dropped = _drop(slots, order, free, compensation)
    where = np.argsort(order)
    is_free = np.ones(slots.size, bool)
    is_free[where[kept]] = False
    moving = kept[where[kept] != kept]
    direct = moving[is_free[moving]]
    detour = moving[~is_free[moving]]
    is_free[direct] = False
    stops = np.flatnonzero(is_free)[: len(detour)]
    _move(slots, where[np.r_[direct, detour]], np.r_[direct, stops])
    _move(slots, stops, detour)
    _restore(slots, free, originals, dropped)


def _drop(
    slots: Slots, order: NDArray[np.int64], free: NDArray[np.int64], compensation: NDArray
) -> tuple[NDArray[np.int64], dict[int, NDArray], dict[int, NDArray]]:
    """The segment that takes the outgoing weights of some units away.

    Args:
        slots: The slots.
        order: The unit in each slot.
        free: The units to free.
        compensation: Shape `(kept, free)`: how much of the activation of each free unit each kept
            one takes over, kept units in rising order.

    Returns:
        The kept units, and the weights before and after the segment, see `Slots.in_own_slots`.
    """
    kept = np.setdiff1d(np.arange(slots.size), free)
    originals = slots.in_own_slots(order)
    changed = []
    for rows in slots.rows("out", np.argsort(order)):
        new = np.zeros_like(rows)
        new[kept] = rows[kept] + (compensation @ rows[free].astype("float64")).astype(rows.dtype)
        changed.append(new[order])
    slots.editor.add(slots.changes("out", slice(None), changed))
    return kept, originals, slots.in_own_slots(order)


def _move(slots: Slots, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
    if not len(sources):
        return
    slots.editor.add(slots.changes("in", targets, slots.rows("in", sources)))
    outgoing = slots.rows("out", sources)
    zeros = [np.zeros_like(rows) for rows in outgoing]
    slots.editor.add(slots.changes("out", targets, outgoing) + slots.changes("out", sources, zeros))


def _restore(
    slots: Slots,
    free: NDArray[np.int64],
    originals: dict[int, NDArray],
    dropped: dict[int, NDArray],
) -> None:
    """Put the free units back as they were after `_drop`, and undo that, the others being there."""
    incoming = [dropped[number][positions[free]] for number, positions in slots.axes["in"]]
    slots.editor.add(slots.changes("in", free, incoming))
    outgoing = [originals[number][positions] for number, positions in slots.axes["out"]]
    slots.editor.add(slots.changes("out", slice(None), outgoing))
