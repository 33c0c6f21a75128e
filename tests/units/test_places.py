"""Groups hold isomorphic units: the places of one map to those of another, ties and marks too."""

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mc_keras.units.places import Places


class Record(Places):
    """A book that also lists its ties and marks: what is said, and of which places."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def tie(self, first, second):
        super().tie(first, second)
        said = ("tie", len(self.rows))
        self.rows += [(said, pair) for pair in zip(first, second, strict=True)]

    def mark(self, places, keys=0):
        super().mark(places, keys)
        event = len(self.rows)
        keys = np.broadcast_to(keys, places.shape)
        self.rows += [((event, key), (p,)) for key, p in zip(keys, places, strict=True)]


@st.composite
def books(draw):
    """Arrays of places, alike or not, tied to themselves and each other at other indices."""
    book, size = Record(), draw(st.sampled_from([4, 6, 8]))
    arrays = [book.new(size) for _ in range(draw(st.integers(1, 3)))]
    index = np.arange(size)
    moves = [index, index[::-1], index ^ 1, *(np.roll(index, k) for k in (1, 2, size // 2))]
    for _ in range(draw(st.integers(1, 4))):
        first, second = (draw(st.sampled_from(arrays)) for _ in range(2))
        book.tie(first, second[draw(st.sampled_from(moves))])
    if draw(st.booleans()):
        array = draw(st.sampled_from(arrays))
        book.mark(array, draw(st.sampled_from([index % 2, index // 2, index // (size // 2)])))
    return book


@settings(max_examples=150, deadline=None, derandomize=True)
@given(book=books())
def test_units_of_a_group_are_isomorphic(book):
    resolved = book.resolve()
    units = {}
    for place, unit in enumerate(resolved.unit):
        units.setdefault(unit, {})[resolved.part[place]] = place
    for first, second in combinations(units, 2):
        places, others = units[first], units[second]
        group = {int(resolved.group[next(iter(own.values()))]) for own in (places, others)}
        if len(group) == 2:
            continue
        assert places.keys() == others.keys()
        assert len(places) == np.sum(resolved.unit == first) == np.sum(resolved.unit == second)
        to = {places[code]: others[code] for code in places}
        mapped = [(said, *map(to.get, about)) for said, about in book.rows if about[0] in to]
        inside = set(others.values())
        assert Counter(mapped) == Counter(
            (s, *about) for s, about in book.rows if about[0] in inside
        )


def test_obvious_groups_of_units_with_repeated_parts_are_kept():
    book = Places()
    places = book.new(8)
    book.tie(places, places[::-1])
    resolved = book.resolve()
    assert np.unique(resolved.unit).size == 4
    assert np.unique(resolved.group).size == 1
