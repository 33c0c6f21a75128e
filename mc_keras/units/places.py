"""Places along the axes of weights and tensors, and which of them move together.

A *place* is one index along one axis (or along several axes flattened into one): a row of a
kernel, an entry of a bias, a channel of a tensor. A permutation of hidden units moves many places
at once. This file keeps the book: rules add places, tie those that must move together, and mark
those that play different parts. `resolve` then reads off the units (places tied together) and the
groups.

A group is valid if its units are isomorphic: if the places of one can be mapped one to one to those
of any other such that marks and ties are the same. Any permutation of the units, carried out place
by place along these maps, then leaves everything in the book as it was, and so the function of the
model. Equal numbers of equal parts do not suffice for this; see `Places.resolve`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Role = Literal["in", "out"]

_SINGLED_OUT = np.uint64(0x5851F42D4C957F2D)


@dataclass(frozen=True, eq=False)
class WeightPlaces:
    """The places along one axis of a weight, or along `merged` axes from `axis` on.

    Attributes:
        variable: The Keras variable.
        axis: First axis, not negative.
        merged: Number of consecutive axes flattened into one, in row-major order.
        role: "in" where the weight makes or scales the units, "out" where it reads them.
        name: Path of the layer that the axis was first seen in.
        places: Numbers of the places, shape `(length,)`.
    """

    variable: Any
    axis: int
    merged: int
    role: Role
    name: str
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resolved:
    """What the book says in the end, one entry per place.

    Attributes:
        unit: Number of the unit; units are numbered in the order of their first places.
        group: Number of the group of that unit.
        part: Code of the part that the place plays in its unit. In a group of two or more units
            the codes within a unit differ, and places of the same code in two units correspond.
        reduced: Whether a reduction reads the units of that group; see `Places.reduce`.
    """

    unit: NDArray[np.int64]
    group: NDArray[np.int64]
    part: NDArray[np.uint64]
    reduced: NDArray[np.bool_]


class Places:
    """The book of places."""

    def __init__(self) -> None:
        self.weights: dict[tuple, WeightPlaces] = {}
        self._count = 0
        self._events = 0
        self._marks: list[tuple[NDArray, NDArray]] = []
        self._ties: list[tuple[NDArray, NDArray, NDArray]] = []
        self._reduced: list[tuple[NDArray]] = []
        self._still: dict[int, Any] = {}
        self._asked: set[int] = set()

    def new(self, shape: tuple[int, ...] | int) -> NDArray[np.int64]:
        """Fresh places, alike among themselves and unlike all others."""
        size = int(np.prod(shape))
        places = np.arange(self._count, self._count + size).reshape(shape)
        self._count += size
        self.mark(places)
        return places

    def mark(self, places: NDArray[np.int64], keys: ArrayLike = 0) -> None:
        """Say that `places` take part in something, those with different `keys` differently.

        Places with different marks are not interchangeable. Marks add up: a place may be given
        several times.
        """
        codes = _scramble(self._event() + _scramble(np.atleast_1d(keys).astype(np.uint64)))
        self._marks.append((places.ravel(), np.broadcast_to(codes, places.shape).ravel()))

    def pin(self, places: NDArray[np.int64]) -> None:
        """Say that none of `places` can move."""
        self.mark(places, np.arange(places.size).reshape(places.shape))

    def tie(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        """Say that places at the same index of two arrays (broadcast) move together."""
        first, second = np.broadcast_arrays(first, second)
        event = np.broadcast_to(self._event(), first.size)
        self._ties.append((first.ravel(), second.ravel(), event))

    def reduce(self, places: NDArray[np.int64]) -> None:
        """Say that `places` are read together, and not by outgoing weights alone.

        As in a normalization, a softmax or a sum over the units: a unit then matters even if its
        outgoing weights are zero.
        """
        self._reduced.append((places.ravel(),))

    def weight(
        self, variable: Any, axis: int, role: Role, name: str, level: str = "", merged: int = 1
    ) -> NDArray[np.int64]:
        """The places along an axis of a weight: the same ones each time they are asked for.

        Args:
            variable: The Keras variable.
            axis: First axis; negative counts from the end.
            role: "in" or "out", see `WeightPlaces`.
            name: Path of the layer, for the names of groups.
            level: Tells apart several ways in which places along one axis move, such as whole
                heads and the dimensions within a head.
            merged: Number of consecutive axes flattened into one.
        """
        self._asked.add(id(variable))
        axis %= len(variable.shape)
        key = (id(variable), axis, merged, level)
        if key not in self.weights:
            places = self.new(int(np.prod(variable.shape[axis : axis + merged])))
            name = f"{name}/{level}" if level else name
            self.weights[key] = WeightPlaces(variable, axis, merged, role, name, places)
        if self.weights[key].role != role:
            self.reduce(self.weights[key].places)
        return self.weights[key].places

    def known_along(self, variable: Any, axis: int) -> NDArray[np.int64] | None:
        """The places along an axis of a weight if a rule has asked for them, else `None`."""
        found = self.weights.get((id(variable), axis % len(variable.shape), 1, ""))
        return None if found is None else found.places

    def still(self, variable: Any) -> None:
        """Say that a weight holds still, along all axes and wherever it is used."""
        self._still[id(variable)] = variable

    def knows(self, variable: Any) -> bool:
        """Whether a rule has asked for places of a weight, or said that it holds still."""
        return id(variable) in self._still or id(variable) in self._asked

    def resolve(self) -> Resolved:
        """Find the units and their groups.

        Colour refinement gives each place a code of its own marks, of those of the places that it
        is tied to, and so on. Two units with equal codes are isomorphic if no code occurs twice
        within them: the codes then say which place corresponds to which. Where one does, one of
        the places is singled out in each unit and the codes are refined again, until none does.
        Units that then differ may still be isomorphic, by another choice of places; they are told
        apart all the same.
        """
        for weight in list(self.weights.values()):
            if id(weight.variable) in self._still:
                self.pin(weight.places)
        ties = _columns(self._ties, (np.int64, np.int64, np.uint64))
        first, second, _ = ties
        pairs = coo_array((np.ones(first.size), (first, second)), shape=(self._count,) * 2)
        unit = connected_components(pairs, directed=False)[1].astype(np.int64)
        part = np.zeros(self._count, np.uint64)
        np.add.at(part, *_columns(self._marks, (np.int64, np.uint64)))
        part = _refined(_scramble(part), *ties)
        group = _groups(unit, part)
        while (twins := _first_twins(unit, part, group)).size:
            part[twins] ^= _SINGLED_OUT
            part = _refined(part, *ties)
            group = _groups(unit, part)
        (places,) = _columns(self._reduced, (np.int64,))
        reduced = np.zeros(group.max(initial=-1) + 1, bool)
        reduced[group[unit[places]]] = True
        return Resolved(unit, group[unit], part, reduced[group[unit]])

    def _event(self) -> NDArray[np.uint64]:
        self._events += 1
        return _scramble(np.array([self._events], np.uint64))


def _refined(
    part: NDArray[np.uint64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    events: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """The codes after rounds of colour refinement, until a round tells no more places apart."""
    distinct, before = np.unique(part).size, 0
    while distinct > before:
        seen = part.copy()
        np.add.at(seen, first, _scramble(part[second] + events))
        np.add.at(seen, second, _scramble(part[first] ^ events))
        part = _scramble(seen)
        distinct, before = np.unique(part).size, distinct
    return part


def _groups(unit: NDArray[np.int64], part: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each unit the number of its group: the units with the same codes, each as often."""
    codes = np.zeros(unit.max(initial=-1) + 1, np.uint64)
    np.add.at(codes, unit, part)
    return np.unique(codes, return_inverse=True)[1]


def _first_twins(
    unit: NDArray[np.int64], part: NDArray[np.uint64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """In each unit that is not alone in its group, the first place with the lowest repeated code.

    None in units whose codes all differ.
    """
    shared = np.flatnonzero(np.bincount(group)[group[unit]] > 1)
    order = shared[np.lexsort((shared, part[shared], unit[shared]))]
    twice = (np.diff(unit[order]) == 0) & (np.diff(part[order]) == 0)
    repeated = order[:-1][twice]
    return repeated[np.unique(unit[repeated], return_index=True)[1]]


def _columns(rows: list[tuple], dtypes: tuple[type, ...]) -> list[NDArray]:
    empty = tuple(np.zeros(0, dtype) for dtype in dtypes)
    return [np.concatenate(column) for column in zip(empty, *rows, strict=True)]


def _scramble(code: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64-bit integers that looks random (splitmix64); overflow is part of it."""
    code = code + np.uint64(0x9E3779B97F4A7C15)
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))
