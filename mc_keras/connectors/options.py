"""Checks of what methods take as options."""

import math
import numbers
import operator
from collections.abc import Callable, Iterable
from typing import Any


def one_of(connector: Any, name: str, value: Any, choices: Iterable[str]) -> Any:
    """An option that is one of a few words.

    Raises:
        ValueError: If it is none of them.
    """
    choices = tuple(choices)
    if value not in choices:
        *most, last = map(repr, choices)
        raise ValueError(
            f"{type(connector).__name__} takes {', '.join(most)} or {last} for {name}, received "
            f"{name}={value!r}."
        )
    return value


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


def whole_or_all(connector: Any, name: str, value: Any) -> int | None:
    """An option that counts something, or `None` where nothing limits it.

    Raises:
        ValueError: If it is neither a whole number of 1 or more nor `None`.
    """
    return None if value is None else whole(connector, name, value)


def not_negative(connector: Any, name: str, value: Any) -> float:
    """An option that is a strength.

    Raises:
        ValueError: If it is not a finite number of 0 or more.
    """
    return _number(connector, name, value, "of 0 or more", lambda number: number >= 0)


def positive(connector: Any, name: str, value: Any) -> float:
    """An option that is a size.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    return _number(connector, name, value, "above 0", lambda number: number > 0)


def _number(
    connector: Any, name: str, value: Any, which: str, holds: Callable[[float], bool]
) -> float:
    if not (isinstance(value, numbers.Real) and math.isfinite(value) and holds(float(value))):
        raise ValueError(
            f"{type(connector).__name__} needs a finite number {which} for {name}, received "
            f"{name}={value!r}."
        )
    return float(value)
