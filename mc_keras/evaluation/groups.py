"""Groups: as many points of a family as are evaluated in one sweep over the data."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mc_keras.evaluation.buffers import aligned_zeros, as_tensor
from mc_keras.evaluation.division import Division, divide, fan_in, kernel_and_bias
from mc_keras.evaluation.families import AffineFamily, Family
from mc_keras.weight_space import WeightSpace

# Bytes of weights that a group may hold beside those that all its points share; where they share
# no computation a larger group is not faster.
_GROUP_BYTES = 2**30
_APART_BYTES = 2**24
# A combination of products costs about as much as so many multiplications and additions for each
# control point; below it, as in the first convolution of most networks, products do not pay.
_COMBINATION_COST = 64


class Weights(NamedTuple):
    """Tensors of a group of points, padded with zeros to the capacity of the group.

    Attributes:
        count: Number of points, shape `()`.
        fixed: Variables that are the same at all points.
        moving: Variables that differ, each of shape `(capacity, ...)`.
        states: State variables, likewise.
        kernels: Kernel of the divided layer at each control point; empty where it is not divided.
        coefficients: Their coefficients, shape `(capacity, control points, 1 or units)`.
    """

    count: Any
    fixed: list[Any]
    moving: list[Any]
    states: list[Any]
    kernels: list[Any]
    coefficients: Any


class Plan(NamedTuple):
    """How the points of one family are evaluated.

    Attributes:
        family: The points.
        division: Where the network is divided.
        moving: Positions of the variables that come one for each point.
        kernel: Position of the kernel whose products with the data are shared, or `None`.
        bias: Position of the bias that goes with it, or `None`.
        capacity: Number of points in a full group.
    """

    family: Family
    division: Division
    moving: tuple[int, ...]
    kernel: int | None
    bias: int | None
    capacity: int

    @property
    def num_products(self) -> int:
        """Number of products that the points share."""
        if self.kernel is None or not isinstance(self.family, AffineFamily):
            return 0
        return len(self.family.arrays(self.kernel))

    def groups(self) -> list[list[int]]:
        """Members of the family, in groups."""
        members = list(range(len(self.family)))
        return [members[i : i + self.capacity] for i in range(0, len(members), self.capacity)]


def plans_for(
    space: WeightSpace, families: Sequence[Family], fixed_states: Sequence[bool]
) -> list[Plan]:
    """The cheapest way to evaluate each family; those alike have one capacity, for one compilation.

    Args:
        space: Weight space of the architecture.
        families: The points.
        fixed_states: Whether each state variable is the same at all points of the evaluation.
    """
    plans = [_plan(space, family, fixed_states) for family in families]
    return [
        plan._replace(capacity=max(p.capacity for p in plans if p[1:5] == plan[1:5]))
        for plan in plans
    ]


def _plan(space: WeightSpace, family: Family, fixed_states: Sequence[bool]) -> Plan:
    moves = [family.moves(i) for i in range(len(space.variables))]
    moving = [i for i, m in enumerate(moves) if m]
    division = divide(space, moves, fixed_states)
    if isinstance(family, AffineFamily) and division.layer is not None:
        kernel, bias = kernel_and_bias(space, division.layer)
        rest = [i for i in moving if i != kernel]
        capacity = _capacity(space, rest, len(family), _GROUP_BYTES)
        if kernel is not None and kernel in moving and _products_pay(family, kernel, capacity):
            division = division._replace(linear=True)
            return Plan(family, division, tuple(rest), kernel, bias, capacity)
    shares = division.layer is not None and division.layer != division.start
    limit = _GROUP_BYTES if shares else _APART_BYTES
    capacity = _capacity(space, moving, len(family), limit)
    return Plan(family, division, tuple(moving), None, None, capacity)


def _capacity(space: WeightSpace, variables: list[int], num_points: int, limit: int) -> int:
    size = 4 * sum(math.prod(space.variables[i].shape) for i in variables)
    return max(1, min(num_points, limit // max(size, 1)))


def _products_pay(family: AffineFamily, kernel: int, capacity: int) -> bool:
    coefficients = family.coefficients([0], kernel)
    # Coefficients must not vary along the sum of the product.
    if any(width > 1 for width in coefficients.shape[2:-1]):
        return False
    arrays = family.arrays(kernel)
    units = max(array.shape[-1] for array in arrays)
    terms = fan_in(family.shapes[kernel])
    products = sum(array.shape[-1] / units for array in arrays)
    return products * (terms + capacity * _COMBINATION_COST) < capacity * terms


def load(plan: Plan, space: WeightSpace, members: list[int]) -> Weights:
    """The weights of a group in tensors, without states.

    Args:
        plan: How to evaluate the family.
        space: Weight space of the architecture.
        members: Members of the family.
    """
    family, capacity = plan.family, plan.capacity
    moving = list(plan.moving)
    fixed = [i for i in range(len(space.variables)) if i not in plan.moving and i != plan.kernel]
    kernels, coefficients = [], np.zeros((len(members), 0, 1))
    if plan.kernel is not None and isinstance(family, AffineFamily):
        shape = family.shapes[plan.kernel]
        kernels = [_full_rows(array, shape) for array in family.arrays(plan.kernel)]
        coefficients = family.coefficients(members, plan.kernel)
        coefficients = coefficients.reshape(*coefficients.shape[:2], -1)
    dtype = space.variables[0].dtype if plan.kernel is None else space.variables[plan.kernel].dtype
    return Weights(
        count=tf.constant(len(members)),
        fixed=[as_tensor(a[0]) for a in family.weights(members[:1], fixed, 1)] if fixed else [],
        moving=[as_tensor(a) for a in family.weights(members, moving, capacity)],
        states=[],
        kernels=[as_tensor(kernel) for kernel in kernels],
        coefficients=tf.constant(pad(coefficients, capacity), dtype),
    )


def pad(array: np.ndarray, length: int) -> np.ndarray:
    """`array` with zeros behind it, to this length."""
    if len(array) == length:
        return array
    padded = np.zeros((length, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return padded


def _full_rows(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A control point of a kernel whose axes are full but for the last, which may be 1."""
    full = aligned_zeros((*shape[:-1], array.shape[-1]), array.dtype)
    full[...] = array
    return full
