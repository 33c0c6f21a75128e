"""Connection methods: one file, one class and one name each."""

from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector
from mc_keras.connectors.best import Best
from mc_keras.connectors.butterfly import Butterfly
from mc_keras.connectors.connect import by_name, connect, names
from mc_keras.connectors.curve_fitting import CurveFitting
from mc_keras.connectors.feature_interpolation import FeatureInterpolation
from mc_keras.connectors.learned import LearnedConnection
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.repair import Repair
from mc_keras.connectors.slerp import Slerp
from mc_keras.connectors.weight_adjustment import WeightAdjustment

__all__ = [
    "Arc",
    "Best",
    "Butterfly",
    "Connector",
    "CurveFitting",
    "FeatureInterpolation",
    "LearnedConnection",
    "Linear",
    "OptimalTransport",
    "Repair",
    "Slerp",
    "WeightAdjustment",
    "by_name",
    "connect",
    "names",
]
