"""Paths of weights: functions from the position t in [0, 1] to a point."""

from mc_keras.paths.affine import AffinePath
from mc_keras.paths.base import Path
from mc_keras.paths.coefficients import (
    Bezier,
    Coefficients,
    Constant,
    GreatCircle,
    Line,
    PolygonalChain,
    QuarterArc,
    Ramp,
)
from mc_keras.paths.edits import EditsPath
from mc_keras.paths.files import load_path
from mc_keras.paths.piecewise import PiecewisePath, arc_length, concatenate, distance

__all__ = [
    "AffinePath",
    "Bezier",
    "Coefficients",
    "Constant",
    "EditsPath",
    "GreatCircle",
    "Line",
    "Path",
    "PiecewisePath",
    "PolygonalChain",
    "QuarterArc",
    "Ramp",
    "arc_length",
    "concatenate",
    "distance",
    "load_path",
]
