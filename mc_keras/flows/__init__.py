"""Flows: learned invertible maps of the weights of units, and paths along them."""

from mc_keras.flows.autoregressive import InverseAutoregressiveFlow
from mc_keras.flows.bijection import BijectionModel
from mc_keras.flows.callbacks import Diverged, StopOnDivergence, WorstPoint
from mc_keras.flows.flow import Flow
from mc_keras.flows.likelihood import LikelihoodModel
from mc_keras.flows.methods import METHODS
from mc_keras.flows.networks import check_fits, describe_networks, misfit, row_size
from mc_keras.flows.real_nvp import RealNVP
from mc_keras.flows.rows import pack, population_rows, rows_layout, unpack
from mc_keras.flows.transported import TransportedPath

__all__ = [
    "METHODS",
    "BijectionModel",
    "Diverged",
    "Flow",
    "InverseAutoregressiveFlow",
    "LikelihoodModel",
    "RealNVP",
    "StopOnDivergence",
    "TransportedPath",
    "WorstPoint",
    "check_fits",
    "describe_networks",
    "misfit",
    "pack",
    "population_rows",
    "row_size",
    "rows_layout",
    "unpack",
]
