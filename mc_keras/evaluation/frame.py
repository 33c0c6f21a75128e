"""`Frame`: orthonormal coordinates of the plane through three points of weight space."""

from collections.abc import Sequence

import numpy as np

Point = Sequence[np.ndarray]

# Height of a triangle, relative to its points' distance from zero, that float32 cannot tell from 0.
_FLAT = 1e-6


class Frame:
    """Coordinates `(x, y)` of the plane `w1 + x * u + y * v`; computed in float64.

    `u = (w2 - w1) / norm(w2 - w1)`, and `v` is the unit vector along what is left of `w3 - w1`
    without its part along `u` (Gram-Schmidt).

    Args:
        corners: The three points `w1`, `w2`, `w3`.

    Attributes:
        coordinates: Those of the three points, shape `(3, 2)`.

    Raises:
        ValueError: If the points lie on one line.
    """

    def __init__(self, corners: Sequence[Point]):
        first, second, third = corners
        self._first = first
        u, to_third = _difference(second, first), _difference(third, first)
        width = _norm(u)
        flat = _FLAT * max(_norm(corner) for corner in corners)
        along = height = 0.0
        if width > flat:
            self._u = [a / width for a in u]
            along = _inner(to_third, self._u)
            v = [b - along * a for a, b in zip(self._u, to_third, strict=True)]
            height = _norm(v)
        if height <= flat:
            raise ValueError(
                "The three points lie on one line, so there is no one plane through them: pass a "
                "point beside that line, such as the bend of a curve or a third network."
            )
        self._v = [a / height for a in v]
        self.coordinates = np.array([[0.0, 0.0], [width, 0.0], [along, height]])

    def grid(self, resolution: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
        """Evenly spaced `x` and `y`: the extent of the points, and `margin` of it on each side."""
        low, high = self.coordinates.min(0), self.coordinates.max(0)
        reach = margin * (high - low)
        x, y = np.linspace(low - reach, high + reach, resolution).T
        return x, y

    def coefficients(self, x: float, y: float) -> list[float]:
        """Coefficients of the three points at `(x, y)`; they sum to 1."""
        (_, (width, _), (along, height)) = self.coordinates
        third = y / height
        second = (x - third * along) / width
        return [1 - second - third, second, third]

    def project(self, point: Point) -> tuple[float, float, float]:
        """`x` and `y` of the nearest point of the plane, and the distance to it."""
        step = _difference(point, self._first)
        x, y = _inner(step, self._u), _inner(step, self._v)
        beside = [s - x * a - y * b for s, a, b in zip(step, self._u, self._v, strict=True)]
        return x, y, _norm(beside)


def _difference(a: Point, b: Point) -> list[np.ndarray]:
    return [np.subtract(v, w, dtype="float64") for v, w in zip(a, b, strict=True)]


def _inner(a: Point, b: Point) -> float:
    return float(sum(np.vdot(v, w) for v, w in zip(a, b, strict=True)))


def _norm(a: Point) -> float:
    return float(np.sqrt(sum(np.sum(np.square(v, dtype="float64")) for v in a)))
