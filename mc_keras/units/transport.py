"""Optimal transport plans between the units of two groups: unequal sizes, entropic, partial."""

import importlib
import os
import types

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.assignment import check_costs

_TOLERANCE = 1e-6  # of the mass of a unit

_BACKEND_SWITCH = "POT_BACKEND_DISABLE_TENSORFLOW"


def transport_plan(
    costs: NDArray, *, entropy: float = 0.0, mass: float = 1.0
) -> NDArray[np.float64]:
    """The plan that moves the units of one network to those of another at the least cost.

    All units of one network have the same mass, 1 in total. `assign` is the exact solution for
    groups of equal sizes.

    Args:
        costs: Costs of shape `(m, n)`; the sizes may differ.
        entropy: Weight of the entropy of the plan, as a part of the mean cost; 0 is the exact
            plan.
        mass: Part of the mass that is moved, in `(0, 1]`; the dearest units stay behind.

    Returns:
        Plan of shape `(m, n)`, not negative, that sums to `mass`. Row `i` sums to `1 / m` at
        most, column `j` to `1 / n` at most, exactly so if `mass` is 1: to float rounding without
        entropy, to a part in a million with it.

    Raises:
        ValueError: If there are no costs, they are not finite or an option is out of range.
        ArithmeticError: If the solver did not reach the optimum.

    Reference:
        Flamary et al., POT: Python Optimal Transport, 2021, https://pythonot.github.io
    """
    costs = check_costs(costs)
    if not costs.size:
        raise ValueError(
            "A transport plan is between units, at least one on each side, received costs of shape "
            f"{costs.shape}."
        )
    if not (0 <= entropy < np.inf and 0 < mass <= 1):
        raise ValueError(
            "A transport plan needs finite entropy >= 0 and 0 < mass <= 1, received "
            f"entropy={entropy}, mass={mass}."
        )
    ot = _pot()
    a, b = (np.full(size, 1 / size) for size in costs.shape)
    # POT's solvers stop at absolute tolerances.
    scaled = (costs - costs.min()) / (np.ptp(costs) or 1.0)
    if entropy == 0 and mass == 1:
        plan, log = ot.emd(a, b, scaled, numItermax=10**9, log=True)
        if log["warning"]:
            raise ArithmeticError(f"No optimal transport plan was found: {log['warning']}")
        return plan
    if entropy == 0:
        return ot.partial.partial_wasserstein(a, b, scaled, m=mass, numItermax=10**9)
    strength = entropy * (float(scaled.mean()) or 1.0)
    if mass < 1:
        return ot.partial.entropic_partial_wasserstein(
            a, b, scaled, strength, m=mass, numItermax=10_000
        )
    plan = ot.sinkhorn(a, b, scaled, strength, method="sinkhorn_log", numItermax=10_000, warn=False)
    off = max(np.abs(plan.sum(1) / a - 1).max(), np.abs(plan.sum(0) / b - 1).max())
    if not off <= _TOLERANCE:
        raise ArithmeticError(
            "No transport plan was found: after 10,000 steps the masses of units are off by "
            f"{off:.0e} of them, with entropy={entropy}. More entropy is found sooner; 0 is the "
            "exact plan."
        )
    return plan


def _pot() -> types.ModuleType:
    """POT, without the TensorFlow backend, which would be loaded at its first import."""
    before = os.environ.get(_BACKEND_SWITCH)
    os.environ[_BACKEND_SWITCH] = "1"
    try:
        return importlib.import_module("ot")
    finally:
        if before is None:
            del os.environ[_BACKEND_SWITCH]
        else:
            os.environ[_BACKEND_SWITCH] = before
