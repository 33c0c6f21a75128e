"""Keras models that train a curve between two networks by plain `fit`."""

from mc_keras.models.curve_model import CurveModel

__all__ = ["CurveModel"]
