"""`PlaneReport`: what was measured on a plane through three points of weight space."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mc_keras.evaluation.report import (
    Report,
    damage_told,
    field_of,
    fields_of,
    number_from_json,
    numbers_from_json,
    numbers_to_json,
    read_record,
    write_record,
)
from mc_keras.storage import PathLike

FORMAT = "mc_keras.plane_report"
FORMAT_VERSION = 1


class Projection(NamedTuple):
    """Points of a path, seen in a plane; all of shape `(T,)`.

    Attributes:
        t: Positions on the path.
        x: First coordinate of the nearest point of the plane.
        y: Second coordinate.
        residual: L2 distance from the plane; zero but for rounding if the path lies in it.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    residual: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaneReport(Report):
    """Loss and metrics on each split on a grid of a plane in weight space.

    `report["test_loss"][j, i]` is the value at `(x[i], y[j])`, so that
    `contour(report.x, report.y, report["test_loss"])` draws it. Coordinates are L2 distances in
    weight space: the origin is the first of the three points, the `x` axis points from it to the
    second, the `y` axis is orthogonal to it, towards the third.

    Attributes:
        x: First coordinates of the grid, rising, shape `(W,)`.
        y: Second coordinates of the grid, rising, shape `(H,)`.
        points: Name to `(x, y)` of the three points.
        projections: Name of a path to its points, projected to the plane.
    """

    x: np.ndarray
    y: np.ndarray
    points: Mapping[str, tuple[float, float]]
    projections: Mapping[str, Projection]

    def save(self, file: PathLike) -> None:
        """Write the report as JSON, atomically, with a digest by which `load` knows it again.

        Numbers that are not finite are written as strings.

        Raises:
            OSError: If the file cannot be written.
        """
        record = {
            **self._record(FORMAT, FORMAT_VERSION),
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "points": {name: list(point) for name, point in self.points.items()},
            "projections": {
                name: {key: numbers_to_json(v) for key, v in projection._asdict().items()}
                for name, projection in self.projections.items()
            },
        }
        write_record(file, record)

    @classmethod
    def load(cls, file: PathLike) -> "PlaneReport":
        """Read a report that `save` wrote.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is not a plane report, damaged, altered, or of a newer format.
        """
        record = read_record(file, FORMAT, FORMAT_VERSION)
        with damage_told(file):
            x, y = (numbers_from_json(record.get(name)) for name in ("x", "y"))
            points = field_of(record, "points", dict)
            projections = field_of(record, "projections", dict)
            return cls(
                **fields_of(record, (len(y), len(x))),
                x=x,
                y=y,
                points={name: _point(point) for name, point in points.items()},
                projections={name: _projection(arrays) for name, arrays in projections.items()},
            )


def _point(items: Any) -> tuple[float, float]:
    if not (isinstance(items, list) and len(items) == 2):
        raise ValueError(f"it has {items!r:.40} in the place of two coordinates")
    return number_from_json(items[0]), number_from_json(items[1])


def _projection(arrays: Any) -> Projection:
    if not (isinstance(arrays, dict) and set(arrays) == set(Projection._fields)):
        raise ValueError(f"it has {arrays!r:.40} in the place of a path seen in the plane")
    projection = Projection(**{name: numbers_from_json(items) for name, items in arrays.items()})
    if len({len(array) for array in projection}) > 1:
        raise ValueError("it has a path that is seen at more positions than it has")
    return projection
