"""Concatenation of paths with a parametrisation of its own."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.paths.base import Path
from mc_keras.paths.edits import EditsPath
from mc_keras.weight_space import WeightSpace

# Numbers that are brought to float64 at once.
_CHUNK = 2**20


class PiecewisePath(Path):
    """Segments one after the other: segment `k` runs while `t` is in `[ends[k], ends[k + 1]]`.

    Args:
        segments: Paths over one architecture, each starting bit for bit where the one before it
            ends.
        ends: `len(segments) + 1` rising positions from 0.0 to 1.0.
        method: Name of the method.
        provenance: See `Path`.

    Raises:
        ValueError: If the segments do not meet or are of several architectures, or the positions
            are not rising from 0 to 1.
    """

    def __init__(
        self,
        segments: Sequence[Path],
        ends: Sequence[float],
        *,
        method: str = "piecewise",
        provenance: dict[str, Any] | None = None,
    ):
        if not segments:
            raise ValueError("A piecewise path needs at least one segment, received none.")
        super().__init__(segments[0].space, method=method, provenance=provenance)
        self.segments = list(segments)
        self.ends = [float(t) for t in ends]
        if (
            len(self.ends) != len(self.segments) + 1
            or self.ends[0] != 0.0
            or self.ends[-1] != 1.0
            or any(a >= b for a, b in itertools.pairwise(self.ends))
        ):
            raise ValueError(
                f"{len(self.segments)} segments need {len(self.segments) + 1} rising positions "
                f"from 0.0 to 1.0, received {self.ends}."
            )
        for segment in self.segments:
            if segment.space.model is not self.space.model:
                check_same_architecture(self.space.model, segment.space.model)
        for k, (segment, following) in enumerate(itertools.pairwise(self.segments)):
            for a, b, variable in zip(segment(1.0), following(0.0), self.variables, strict=True):
                if not np.array_equal(a, b):
                    raise ValueError(
                        f"Path {k} does not end where path {k + 1} starts: '{variable.path}' "
                        "differs; join paths that share that end."
                    )

    @property
    def knots(self) -> tuple[float, ...]:
        """Ends of the segments and the knots inside them."""
        return self._joined([segment.knots for segment in self.segments])

    @property
    def corners(self) -> tuple[float, ...]:
        """Ends of the segments and the corners inside them."""
        return self._joined([segment.corners for segment in self.segments])

    def _joined(self, positions: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        inner = {
            self.ends[k] + s * (self.ends[k + 1] - self.ends[k])
            for k, own in enumerate(positions)
            for s in own[1:-1]
        }
        return tuple(sorted(inner | set(self.ends)))

    def locate(self, t: float) -> tuple[int, float]:
        """Number of the segment that holds `t`, and the position `s` in `[0, 1]` on it."""
        k = min(bisect.bisect_right(self.ends, t) - 1, len(self.segments) - 1)
        s = (t - self.ends[k]) / (self.ends[k + 1] - self.ends[k])
        return k, min(max(s, 0.0), 1.0)

    def _point(self, t: float) -> list[np.ndarray]:
        k, s = self.locate(t)
        return self.segments[k](s)

    def _state(self, t: float) -> list[np.ndarray]:
        k, s = self.locate(t)
        return self.segments[k].state(s)

    def tensor_point(
        self, t: Any, as_tensor: Callable[[np.ndarray], Any] = keras.ops.convert_to_tensor
    ) -> tuple[list[Any], list[Any]]:
        """See `Path`."""
        t = keras.ops.cast(t, "float32")
        inner = keras.ops.convert_to_tensor(self.ends[1:-1], "float32")
        index = keras.ops.sum(keras.ops.cast(t >= inner, "int32"))

        def at_segment(k: int) -> Any:
            def branch() -> tuple[list[Any], list[Any]]:
                return self.segments[k].tensor_point(
                    (t - self.ends[k]) / (self.ends[k + 1] - self.ends[k]), as_tensor
                )

            return branch

        return keras.ops.switch(index, [at_segment(k) for k in range(len(self.segments))])

    def describe(self, store: Any) -> dict[str, Any]:
        """See `Path`."""
        return {
            "kind": "piecewise",
            "ends": self.ends,
            "segments": [
                {"method": segment.method, **segment.describe(store)} for segment in self.segments
            ],
        }

    @classmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "PiecewisePath":
        """See `Path`."""
        return cls([load(segment) for segment in config["segments"]], config["ends"])


def concatenate(
    paths: Sequence[Path],
    parametrisation: str | Sequence[float] = "uniform",
    *,
    method: str | None = None,
    provenance: dict[str, Any] | None = None,
) -> PiecewisePath:
    """Join paths end to end.

    Args:
        paths: Paths of one architecture; each must start, bit for bit, where the one before ends.
        parametrisation: `"uniform"`: every path takes the same share of `[0, 1]`; `"arclength"`:
            shares in proportion to the paths' lengths in weight space (paths of length zero get a
            thousandth of an equal share); or the rising positions of the ends, from 0.0 to 1.0.
        method: Name of the result's method; the names of the paths joined by "+" if not given.
        provenance: See `Path`.

    Returns:
        The joined path.

    Raises:
        ValueError: If the paths do not meet, or the parametrisation is unknown.
    """
    paths = list(paths)
    if isinstance(parametrisation, str):
        if parametrisation == "uniform":
            shares = np.ones(len(paths))
        elif parametrisation == "arclength":
            shares = np.array([arc_length(path) for path in paths])
            shares = np.maximum(shares, 1e-3 * shares.mean() or 1.0)
        else:
            raise ValueError(
                f"Unknown parametrisation {parametrisation!r}: use 'uniform', 'arclength' or the "
                "positions of the ends."
            )
        ends = [0.0, *np.cumsum(shares / shares.sum())[:-1].tolist(), 1.0]
    else:
        ends = [float(t) for t in parametrisation]
    name = method or "+".join(dict.fromkeys(path.method for path in paths))
    return PiecewisePath(paths, ends, method=name, provenance=provenance)


def arc_length(path: Path) -> float:
    """Length of a path in weight space, L2, in float64.

    Exact for straight segments; curves are measured by 32 chords between each two knots.
    """
    if isinstance(path, PiecewisePath):
        return sum(arc_length(segment) for segment in path.segments)
    if isinstance(path, EditsPath):
        return path.travelled(1.0)
    inner = [np.linspace(a, b, 33)[:-1] for a, b in itertools.pairwise(path.knots)]
    points = (path(float(t)) for t in [*np.concatenate(inner), 1.0])
    return sum(distance(a, b) for a, b in itertools.pairwise(points))


def distance(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """L2 distance of two points, in float64."""
    total = 0.0
    for v, w in zip(a, b, strict=True):
        v, w = np.ravel(v), np.ravel(w)
        for begin in range(0, v.size, _CHUNK):
            part = slice(begin, begin + _CHUNK)
            total += np.sum(np.square(np.subtract(v[part], w[part], dtype="float64")))
    return float(np.sqrt(total))
