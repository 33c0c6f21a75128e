"""Keras models that train a curve between two networks by plain `fit`."""

from mc_keras.models.curve_model import CurveModel
from mc_keras.models.garipov_schedule import GaripovSchedule

__all__ = ["CurveModel", "GaripovSchedule"]
