"""Weights solved from features: least squares and rescaling, layer by layer, in any Keras graph."""

from mc_keras.adjustment.layerwise import layerwise_path
from mc_keras.adjustment.normal_equations import NormalEquations
from mc_keras.adjustment.plan import Stepwise
from mc_keras.adjustment.program import is_adjustable, is_stepwise
from mc_keras.adjustment.sequential import num_linear, solve_along
from mc_keras.adjustment.solutions import Solutions
from mc_keras.adjustment.solvers import LeastSquares, Rescaling, Solver

__all__ = [
    "LeastSquares",
    "NormalEquations",
    "Rescaling",
    "Solutions",
    "Solver",
    "Stepwise",
    "is_adjustable",
    "is_stepwise",
    "layerwise_path",
    "num_linear",
    "solve_along",
]
