"""Keras layers with curve-aware weights."""

from mc_keras.layers.curve_layer import CurveLayer

__all__ = ["CurveLayer"]
