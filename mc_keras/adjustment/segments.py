"""One segment of a path that goes layer by layer, as an affine path."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.paths import (
    AffinePath,
    Coefficients,
    Constant,
    Line,
    PolygonalChain,
    QuarterArc,
)
from mc_keras.units import unit_groups
from mc_keras.weight_space import WeightSpace

Ends = tuple[Sequence[NDArray], Sequence[NDArray]]


def segment_between(
    space: WeightSpace,
    ends: Ends,
    states: Ends,
    *,
    moves: Sequence[int] = (),
    means: Mapping[int, NDArray] | None = None,
    solved: Sequence[int] = (),
    points: Sequence[Mapping[int, NDArray]] = (),
) -> AffinePath:
    """The path from one point to another on which a few variables move.

    Args:
        space: Weight space of the architecture.
        ends: The two points.
        states: Their states.
        moves: Numbers of the variables that go along lines, or arcs.
        means: For those that go along arcs, the mean of their units, see `unit_means`.
        solved: Numbers of the variables that go along a chain of straight lines.
        points: Their values at the ends of these lines.
    """
    start, end = ends
    means = means or {}
    count = max(len(points) + 1, 3)
    control: list[list[NDArray | None]] = [list(start)]
    control += [[None] * len(start) for _ in range(count - 1)]
    coefficients: list[Coefficients] = [_STILL] * len(start)
    for i in moves:
        coefficients[i] = _ARC if i in means else _LINE
        control[1][i] = end[i]
        if i in means:
            control[2][i] = means[i]
    if points:
        chain = PolygonalChain(len(points) + 1)
        for i in solved:
            coefficients[i] = chain
            for number, point in enumerate(points):
                control[number + 1][i] = point[i]
    states_of_path = list(states[0]), list(states[1])
    return AffinePath(space, [*control, list(end)], coefficients, states=states_of_path)


def unit_means(ends: Ends, variables: Sequence[int]) -> dict[int, NDArray]:
    """The mean over the units of both ends, for weights whose last axis is that of the units."""
    means = {}
    for i in variables:
        middle = np.add(ends[0][i], ends[1][i], dtype="float64") / 2
        means[i] = middle.mean(-1, keepdims=True).astype(ends[0][i].dtype)
    return means


def reading_means(
    model: keras.Model, ends: Ends, kernel: int, variables: Sequence[int]
) -> dict[int, NDArray]:
    """The same for weights that read these units.

    Args:
        model: A model of the architecture.
        ends: The two points.
        kernel: Number of the kernel that leads into the units.
        variables: Numbers of the weights that move.
    """
    means = {}
    for group in unit_groups(model, on_unknown="end"):
        if not any(a.trainable and a.role == "in" and a.variable == kernel for a in group.axes):
            continue
        for axis in group.row_axes("out"):
            i = axis.variable
            if i in variables:
                middle = np.add(ends[0][i], ends[1][i], dtype="float64") / 2
                rows = axis.take(middle)
                even = np.broadcast_to(rows.mean(0), rows.shape)
                means[i] = axis.put(middle, even).astype(ends[0][i].dtype)
    return means


_STILL, _LINE, _ARC = Constant(), Line(), QuarterArc()
