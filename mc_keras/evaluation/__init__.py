"""Evaluation: loss and metrics along paths and on planes, with shared work done once."""

from mc_keras.evaluation.path_report import PathReport
from mc_keras.evaluation.plane import evaluate_plane
from mc_keras.evaluation.plane_report import PlaneReport, Projection
from mc_keras.evaluation.points import evaluate_path

__all__ = ["PathReport", "PlaneReport", "Projection", "evaluate_path", "evaluate_plane"]
