"""Connection methods: one file, one class and one name each."""

from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector
from mc_keras.connectors.connect import by_name, connect, names
from mc_keras.connectors.curve_fitting import CurveFitting
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.slerp import Slerp

__all__ = [
    "Arc",
    "Connector",
    "CurveFitting",
    "Linear",
    "OptimalTransport",
    "Slerp",
    "by_name",
    "connect",
    "names",
]
