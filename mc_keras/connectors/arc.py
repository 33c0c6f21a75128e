"""The arc: the path that keeps the distribution of the units."""

from typing import Any, Literal

import keras
import numpy as np

from mc_keras.connectors.base import Connector, Job, read_ends
from mc_keras.connectors.options import one_of
from mc_keras.paths import AffinePath, Coefficients, Line, QuarterArc
from mc_keras.units.rows import rows_of
from mc_keras.weight_space import WeightSpace


class Arc(Connector):
    """Quarter of an ellipse around the mean of the units, for each row of weights.

    `row(t) = mean + cos(pi * t / 2) * (start - mean) + sin(pi * t / 2) * (end - mean)`, where the
    mean is taken over the units of both networks, one for each weight of a row. If the units of
    the two networks are independent draws of one distribution, those of the path keep its mean
    and covariance, which the straight line shrinks by half in the middle.

    In a network with one hidden layer a row is a butterfly: all weights in and out of a hidden
    unit, its bias included; the bias of the output layer belongs to no unit and goes along the
    straight line. In deeper networks all layers move together and a row is the incoming weights
    of a unit, its bias included.

    Args:
        mean: `"units"` for the mean above, `"none"` for an arc around zero.
        rows: `"auto"` as above, `"incoming"` for incoming weights in every network.

    Raises:
        ValueError: If an option is unknown.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.2, eq. 6; section 5.2 for deeper networks.
    """

    name = "arc"

    def __init__(
        self,
        *,
        mean: Literal["units", "none"] = "units",
        rows: Literal["auto", "incoming"] = "auto",
    ):
        self.mean = one_of(self, "mean", mean, ("units", "none"))
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
        means: list[np.ndarray | None] = [None] * len(a)
        coefficients: list[Coefficients] = [_LINE] * len(a)
        for rows in rows_of(space, self.rows):
            for index, axis in rows.axes:
                means[index] = self._mean(a[index], b[index], axis)
                coefficients[index] = _ARC
        return AffinePath(
            space,
            [a, b, means],
            coefficients,
            states=states,
            end_index=1,
        )

    def _mean(self, a: np.ndarray, b: np.ndarray, axis: Any) -> np.ndarray:
        total = np.add(a, b, dtype="float64").mean(axis, keepdims=True) / 2
        return (total if self.mean == "units" else np.zeros_like(total)).astype(a.dtype)


_LINE, _ARC = Line(), QuarterArc()
