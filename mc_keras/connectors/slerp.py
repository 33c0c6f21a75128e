"""Spherical interpolation of each unit's weights."""

from typing import Any

import keras
import numpy as np

from mc_keras.connectors.base import Connector, Job, read_ends
from mc_keras.connectors.options import one_of
from mc_keras.paths import AffinePath, Coefficients, GreatCircle, Line
from mc_keras.units.rows import along, dot, norms, rows_of
from mc_keras.weight_space import WeightSpace


class Slerp(Connector):
    """Great circle between the directions of each row, its length going linearly.

    `norm(row(t)) = (1 - t) * norm(start) + t * norm(end)`, and the direction turns at constant
    speed. Rows are those of `Arc`; rows that are nearly parallel, opposite or zero, and weights
    that belong to no row, go along the straight line.

    Args:
        rows: `"auto"` or `"incoming"`, see `Arc`.

    Raises:
        ValueError: If an option is unknown.

    Reference:
        Shoemake, Animating rotation with quaternion curves, 1985.
    """

    name = "slerp"

    def __init__(self, *, rows: str = "auto"):
        self.rows = one_of(self, "rows", rows, ("auto", "incoming"))

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> AffinePath:
        """See `Connector`."""
        (a, b), states = read_ends(start, end)
        coefficients: list[Coefficients] = [_LINE] * len(a)
        for rows in rows_of(space, self.rows):
            lengths = norms(a, rows), norms(b, rows)
            product = lengths[0] * lengths[1]
            cosine = dot(a, b, rows) / np.where(product > 0, product, 1)
            angles = np.arccos(np.clip(cosine, -1, 1))
            for index, axis in rows.axes:
                coefficients[index] = GreatCircle(
                    *(along(values, axis, a[index].shape) for values in (angles, *lengths))
                )
        return AffinePath(space, [a, b], coefficients, states=states)


_LINE = Line()
