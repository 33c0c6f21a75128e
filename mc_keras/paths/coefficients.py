"""Coefficient functions: the weights `c[k](t)` of the control points of a path.

A path that is affine in its control points is `w(t) = sum(c[k](t) * w[k])`; the line, the arc,
slerp, Bezier curves and polygonal chains differ in `c` only. Every function takes a Python float
and answers in float64, or a scalar tensor and answers in tensors, so that the same formula serves
evaluation, training and exported graphs.
"""

import abc
import math
from typing import Any

import keras
import numpy as np


class Coefficients(abc.ABC):
    """Weights of the control points as a function of the position on the path.

    Attributes:
        num_control_points: Number of control points, both ends included where they belong to it.
    """

    num_control_points: int

    @abc.abstractmethod
    def __call__(self, t: Any) -> list[Any]:
        """Coefficients at `t`, one for each control point.

        Args:
            t: Position, dimensionless, in `[0, 1]`: a float, or a tensor of shape `()`.

        Returns:
            List of `num_control_points` scalars (or arrays that broadcast against a weight).
        """

    @property
    def knots(self) -> tuple[float, ...]:
        """Positions between which the coefficients are smooth; 0 and 1 are the outermost."""
        return (0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; arrays among them are NumPy arrays."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Coefficients":
        """The object that `get_config` described."""
        return cls(**config)


class Constant(Coefficients):
    """Stays at its only control point: `c(t) = (1)`."""

    num_control_points = 1

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        return [1.0 + 0.0 * t]


class Line(Coefficients):
    """Straight line: `c(t) = (1 - t, t)`.

    Reference:
        Anokhin and Yarotsky, 2020, eq. 5.
    """

    num_control_points = 2

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        return [1 - t, t]


class Ramp(Coefficients):
    """Straight line gone along between two positions only: `s = (t - begin) / (end - begin)`.

    `c(t) = (1 - s, s)` with `s` clipped to `[0, 1]`.

    Args:
        begin: Position until which it stays at the first control point.
        end: Position from which on it stays at the second.

    Raises:
        ValueError: If they are not rising.
    """

    num_control_points = 2

    def __init__(self, begin: float, end: float):
        if not begin < end:
            raise ValueError(f"A ramp rises from begin to end, received {begin} and {end}.")
        self.begin = begin
        self.end = end

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        functions = _functions_for(t)
        s = functions.clip((t - self.begin) / (self.end - self.begin), 0.0, 1.0)
        return [1 - s, s]

    @property
    def knots(self) -> tuple[float, ...]:
        """The ends of the path and, inside it, of the ramp."""
        return (0.0, *(t for t in (self.begin, self.end) if 0 < t < 1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """See the base class."""
        return {"begin": self.begin, "end": self.end}


class QuarterArc(Coefficients):
    """Arc through the mean: `c(t) = (cos(a), sin(a), 1 - cos(a) - sin(a))`, `a = pi * t / 2`.

    The control points are the start, the end and the mean of the units; the coefficients sum to 1.
    If the units are independent draws of one distribution, those of the path keep its mean and
    covariance at every `t`.

    Reference:
        Anokhin and Yarotsky, 2020, eq. 6 and proposition 1.
    """

    num_control_points = 3

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        functions = _functions_for(t)
        angle = t * (math.pi / 2)
        cos, sin = functions.cos(angle), functions.sin(angle)
        return [cos, sin, 1 - cos - sin]


class GreatCircle(Coefficients):
    """Spherical interpolation of rows, the length of each row going linearly from end to end.

    Row `i` turns by the angle between its two ends at constant speed. Rows that are nearly
    parallel, opposite or zero go along the straight line, where the great circle is undefined.

    Args:
        angles: Angles between the ends of each row in radians, shaped to broadcast against the
            weight.
        start_norms: Lengths of the rows at the start, of the same shape.
        end_norms: Lengths of the rows at the end, of the same shape.

    Reference:
        Shoemake, Animating rotation with quaternion curves, 1985.
    """

    num_control_points = 2
    smallest_sine = 1e-4

    def __init__(self, angles: np.ndarray, start_norms: np.ndarray, end_norms: np.ndarray):
        self.angles = np.asarray(angles, "float64")
        self.start_norms = np.asarray(start_norms, "float64")
        self.end_norms = np.asarray(end_norms, "float64")

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        functions = _functions_for(t)
        dtype = "float64" if functions is np else keras.backend.standardize_dtype(t.dtype)
        angles, start, end = (
            array.astype(dtype) for array in (self.angles, self.start_norms, self.end_norms)
        )
        turns = (np.sin(self.angles) > self.smallest_sine) & (self.start_norms * self.end_norms > 0)
        sine = np.where(turns, np.sin(angles), 1).astype(dtype)
        length = (1 - t) * start + t * end
        from_start = functions.sin((1 - t) * angles) / sine * length / np.where(turns, start, 1)
        from_end = functions.sin(t * angles) / sine * length / np.where(turns, end, 1)
        return [functions.where(turns, from_start, 1 - t), functions.where(turns, from_end, t)]

    def get_config(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "angles": self.angles,
            "start_norms": self.start_norms,
            "end_norms": self.end_norms,
        }


class _Curve(Coefficients):
    """A family of curves with any number of control points, ends included."""

    def __init__(self, num_control_points: int = 3):
        if not isinstance(num_control_points, int) or num_control_points < 2:
            raise ValueError(
                "A curve needs both ends: `num_control_points` must be an integer of at least 2, "
                f"received {num_control_points!r}; 3 gives one bend between the ends."
            )
        self.num_control_points = num_control_points

    def get_config(self) -> dict[str, Any]:
        """See the base class."""
        return {"num_control_points": self.num_control_points}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_control_points={self.num_control_points})"


@keras.saving.register_keras_serializable("mc_keras")
class Bezier(_Curve):
    """Bezier curve: `c[k](t) = binom(n, k) * t**k * (1 - t)**(n - k)`, `n + 1` control points.

    The coefficients sum to 1; the curve starts at the first control point and ends at the last.

    Args:
        num_control_points: Integer >= 2, both ends included; 3 gives a quadratic curve.

    Raises:
        ValueError: If there are fewer than two control points.

    Reference:
        Garipov et al., 2018, section 3.1, https://arxiv.org/abs/1802.10026

    Example:

    >>> Bezier(num_control_points=3)(0.5)
    [0.25, 0.5, 0.25]
    """

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        # De Casteljau instead of powers of t: the derivative of t**0 at t = 0 is NaN.
        values: list[Any] = [1.0 + 0.0 * t]
        for _ in range(self.num_control_points - 1):
            left = [(1 - t) * value for value in values]
            right = [t * value for value in values]
            inner = [a + b for a, b in zip(left[1:], right[:-1], strict=True)]
            values = [left[0], *inner, right[-1]]
        return values


@keras.saving.register_keras_serializable("mc_keras")
class PolygonalChain(_Curve):
    """Polygonal chain: `c[k](t) = max(0, 1 - abs(n * t - k))`, `n + 1` points.

    Every control point lies on the path, at `t = k / n`.

    Args:
        num_control_points: Integer >= 2, both ends included; 3 gives one bend.

    Raises:
        ValueError: If there are fewer than two control points.

    Reference:
        Garipov et al., 2018, section 3.1, https://arxiv.org/abs/1802.10026

    Example:

    >>> PolygonalChain(num_control_points=3)(0.25)
    [0.5, 0.5, 0.0]
    """

    def __call__(self, t: Any) -> list[Any]:
        """See the base class."""
        functions = _functions_for(t)
        n = self.num_control_points - 1
        # Plain floats of the same type for float t, tensors for tensor t.
        return [functions.maximum(0.0, 1 - abs(n * t - k)) + 0.0 for k in range(n + 1)]

    @property
    def knots(self) -> tuple[float, ...]:
        """The positions of the control points."""
        n = self.num_control_points - 1
        return tuple(k / n for k in range(n + 1))


def _functions_for(t: Any) -> Any:
    return np if isinstance(t, float | int | np.ndarray) else keras.ops


_KINDS: dict[str, type[Coefficients]] = {
    kind.__name__: kind
    for kind in (Constant, Line, Ramp, QuarterArc, GreatCircle, Bezier, PolygonalChain)
}


def by_name(kind: str) -> type[Coefficients]:
    """The class of coefficient functions with this name."""
    return _KINDS[kind]
