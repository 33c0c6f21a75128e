"""Checks of the numbers that methods take as options."""

import math
import numbers
import operator
from typing import Any


def whole(connector: Any, name: str, value: Any, least: int = 1) -> int:
    """An option that counts something, as an integer.

    Raises:
        ValueError: If it is not a whole number, or less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(
            f"{type(connector).__name__} needs a whole number of at least {least} for {name}, "
            f"received {name}={value!r}."
        )
    return number


def not_negative(connector: Any, name: str, value: Any) -> float:
    """An option that is a strength.

    Raises:
        ValueError: If it is not a finite number of 0 or more.
    """
    if not (isinstance(value, numbers.Real) and 0 <= float(value) < math.inf):
        raise ValueError(
            f"{type(connector).__name__} needs a finite number of 0 or more for {name}, received "
            f"{name}={value!r}."
        )
    return float(value)
