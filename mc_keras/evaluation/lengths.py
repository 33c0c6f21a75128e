"""Distances between neighbouring points of a path, in float64."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mc_keras.evaluation.families import Leaf, leaf_at
from mc_keras.paths import AffinePath, EditsPath, Path
from mc_keras.paths.piecewise import distance


def step_lengths(path: Path, positions: Sequence[float]) -> np.ndarray:
    """L2 lengths of the path between neighbouring positions, by chords.

    Of a path stored as edits, which has corners between the positions, it is the length itself.

    Where control points are shared, `norm(sum((c'[k] - c[k]) * w[k] for k))` comes from the inner
    products of the control points, so that the cost does not grow with the number of positions.

    Args:
        path: The path.
        positions: Rising positions, the knots of the path among them.

    Returns:
        Array of shape `(len(positions) - 1,)`.
    """
    products: dict[int, list[np.ndarray]] = {}
    lengths = []
    for a, b in itertools.pairwise(positions):
        leaf = leaf_at(path, (a + b) / 2)
        if isinstance(leaf.path, AffinePath):
            key = id(leaf.path)
            if key not in products:
                products[key] = [_inner_products(*v) for v in _variables(leaf.path)]
            lengths.append(_affine_step(leaf, a, b, products[key]))
        elif isinstance(leaf.path, EditsPath):
            before, after = (leaf.path.travelled(leaf.local(t)) for t in (a, b))
            lengths.append(after - before)
        else:
            lengths.append(distance(leaf.path(leaf.local(a)), leaf.path(leaf.local(b))))
    return np.array(lengths)


def _affine_step(leaf: Leaf, a: float, b: float, products: list[np.ndarray]) -> float:
    path: Any = leaf.path
    before, after = path.coefficients(leaf.local(a)), path.coefficients(leaf.local(b))
    total = 0.0
    for c, d, gram in zip(before, after, products, strict=True):
        step = [np.subtract(y, x) for x, y in zip(c, d, strict=True)]
        total += sum(
            float(np.sum(step[k] * step[m] * gram[k, m]))
            for k in range(len(step))
            for m in range(len(step))
        )
    return float(np.sqrt(max(total, 0.0)))


def _variables(path: AffinePath) -> list[tuple[list[np.ndarray], tuple[int, ...], Any]]:
    """(control points, shape of the variable, a coefficient) of each variable."""
    return [
        ([p[i] for p in path.control_points[: len(c)]], tuple(v.shape), c[0])  # type: ignore[misc]
        for i, (v, c) in enumerate(zip(path.variables, path.coefficients(0.5), strict=True))
    ]


def _inner_products(
    arrays: list[np.ndarray], shape: tuple[int, ...], coefficient: Any
) -> np.ndarray:
    """`(K, K, ...)`: inner products of control points, summed where the coefficients are equal."""
    widths = (1,) * (len(shape) - np.ndim(coefficient)) + np.shape(coefficient)
    axes = list(range(len(shape)))
    kept = [axis for axis in axes if widths[axis] > 1]
    full = [np.broadcast_to(array, shape) for array in arrays]
    gram = np.empty((len(full), len(full), *widths))
    for k, a in enumerate(full):
        for m, b in enumerate(full[: k + 1]):
            value = np.einsum(a, axes, b, axes, kept, dtype="float64", casting="unsafe")
            gram[k, m] = gram[m, k] = value.reshape(widths)
    return gram
