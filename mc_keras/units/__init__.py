"""Hidden units: which weights belong to them, permutations of them, matching of two networks'."""

from mc_keras.units.assignment import assign, optimality_gap
from mc_keras.units.distances import butterfly_costs
from mc_keras.units.groups import UnitAxis, UnitGroup
from mc_keras.units.matching import Matching, match_units
from mc_keras.units.permutation import permute, permute_all
from mc_keras.units.rules import register_unit_rule
from mc_keras.units.search import unit_groups
from mc_keras.units.transport import transport_plan

__all__ = [
    "Matching",
    "UnitAxis",
    "UnitGroup",
    "assign",
    "butterfly_costs",
    "match_units",
    "optimality_gap",
    "permute",
    "permute_all",
    "register_unit_rule",
    "transport_plan",
    "unit_groups",
]
