"""The straight line between two networks."""

from typing import Any

import keras

from mc_keras.connectors.base import Connector, Job, read_ends
from mc_keras.paths import AffinePath, Line
from mc_keras.weight_space import WeightSpace


class Linear(Connector):
    """Straight line in weight space: `w(t) = (1 - t) * start + t * end`.

    The baseline: between independently trained networks it climbs a wall of loss.

    Reference:
        Anokhin and Yarotsky, 2020, eq. 5.
    """

    name = "linear"

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> AffinePath:
        """See `Connector`."""
        points, states = read_ends(start, end)
        return AffinePath(space, points, Line(), states=states)
