"""Which method is better: the order of legends, bars and tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mc_keras.evaluation import PathReport


def rank(reports: "Mapping[str, PathReport]", name: str) -> list[str]:
    """Methods from the best worst value to the worst, those with values that are not finite last.

    Args:
        reports: Name of the method to its report.
        name: The quantity, as `"<split>_<metric>"`.

    Returns:
        The names.

    Raises:
        ValueError: If there is no report, or one of them lacks the quantity.
    """
    check_measured(reports, name)
    sign = 1.0 if next(iter(reports.values())).lower_is_better(name) else -1.0

    def badness(method: str) -> float:
        worst = sign * reports[method].worst(name)
        return worst if np.isfinite(worst) else np.inf

    return sorted(reports, key=badness)


def check_measured(reports: "Mapping[str, PathReport]", name: str) -> None:
    """Check that there are reports and that all have a quantity.

    Raises:
        ValueError: If there is no report, or one of them lacks the quantity.
    """
    if not reports:
        raise ValueError("There is nothing to compare: expected at least one path report.")
    for method, report in reports.items():
        if name not in report.names:
            raise ValueError(
                f"The report of {method!r} has no {name!r}; it has {', '.join(report.names)}."
            )
