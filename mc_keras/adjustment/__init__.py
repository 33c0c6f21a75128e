"""Weights solved from features: least squares and rescaling, layer by layer, in any Keras graph."""

from mc_keras.adjustment.layerwise import Stepwise, layerwise_path
from mc_keras.adjustment.normal_equations import NormalEquations
from mc_keras.adjustment.sequential import (
    Solver,
    least_squares,
    rescaling,
    solve_along,
)

__all__ = [
    "NormalEquations",
    "Solver",
    "Stepwise",
    "layerwise_path",
    "least_squares",
    "rescaling",
    "solve_along",
]
