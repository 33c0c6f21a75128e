"""Rules for values read from JSON.

A rule is called with the place of a value and the value, and returns the value or raises `Invalid`.
"""

import datetime
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[str, Any], Any]


class Invalid(Exception):
    """A value breaks its rule; the message says where, what was expected and what was found."""


def anything(where: str, value: Any) -> Any:
    """Any value."""
    return value


def text(where: str, value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{where} must be a text that is not empty, found {value!r}")
    return value


def text_or_none(where: str, value: Any) -> str:
    """A string, which may be empty."""
    if not isinstance(value, str):
        raise Invalid(f"{where} must be a text, found {value!r}")
    return value


def name(where: str, value: Any) -> str:
    """A string of lower-case letters, digits, underscores and hyphens."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text(where, value)):
        raise Invalid(
            f"{where} must consist of lower-case letters, digits, underscores and hyphens, found "
            f"{value!r}"
        )
    return value


def digest(where: str, value: Any) -> str:
    """A hexadecimal SHA-256 digest."""
    if not re.fullmatch(r"[0-9a-f]{64}", text(where, value)):
        raise Invalid(f"{where} must be 64 hexadecimal digits, found {value!r}")
    return value


def day(where: str, value: Any) -> str:
    """A date, `YYYY-MM-DD`."""
    try:
        datetime.date.fromisoformat(text(where, value))
    except ValueError:
        raise Invalid(f"{where} must be a day such as 2026-01-31, found {value!r}") from None
    return value


def relative_path(where: str, value: Any) -> str:
    """A path that stays below its folder: plain names between forward slashes."""
    parts = text(where, value).split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", part) for part in parts):
        raise Invalid(f"{where} must be a relative path of plain names, found {value!r}")
    return value


def number(where: str, value: Any) -> float:
    """A finite number, as a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Invalid(f"{where} must be a number, found {value!r}")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    if not math.isfinite(converted):
        raise Invalid(f"{where} must be a finite number, found {reprlib.repr(value)}")
    return converted


def natural(where: str, value: Any) -> int:
    """An integer that is not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Invalid(f"{where} must be an integer >= 0, found {value!r}")
    return value


def positive(where: str, value: Any) -> int:
    """An integer of at least 1."""
    if natural(where, value) == 0:
        raise Invalid(f"{where} must be an integer >= 1, found 0")
    return value


def up_to(limit: int) -> Rule:
    """An integer from 1 to `limit`."""

    def checked(where: str, value: Any) -> int:
        if positive(where, value) > limit:
            raise Invalid(f"{where} must be an integer <= {limit}, found {reprlib.repr(value)}")
        return value

    return checked


def list_of(rule: Rule) -> Rule:
    """A list of values that each obey `rule`; returned as a tuple."""

    def checked(where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Invalid(f"{where} must be a list, found {value!r}")
        return tuple(rule(f"{where}[{i}]", item) for i, item in enumerate(value))

    return checked


def mapping_of(rule: Rule, keys: Rule = anything) -> Rule:
    """A mapping with keys that obey `keys` and values that obey `rule`."""

    def checked(where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Invalid(f"{where} must be a mapping, found {value!r}")
        return {
            keys(f"a key of {where}", key): rule(f"{where}[{key!r}]", item)
            for key, item in value.items()
        }

    return checked


def having(rules: Mapping[str, Rule]) -> Rule:
    """A mapping with the keys of `rules`, each value under its own rule, and with any others."""
    as_mapping, ruled = mapping_of(anything), record(rules)

    def checked(where: str, value: Any) -> dict[str, Any]:
        value = as_mapping(where, value)
        return value | ruled(where, {key: item for key, item in value.items() if key in rules})

    return checked


def record(rules: Mapping[str, Rule], optional: tuple[str, ...] = ()) -> Rule:
    """A mapping with exactly the keys of `rules`, each value under its own rule."""
    as_mapping = mapping_of(anything)

    def checked(where: str, value: Any) -> dict[str, Any]:
        value = as_mapping(where, value)
        for key in rules:
            if key not in value and key not in optional:
                raise Invalid(f"{where} has no {key!r}")
        for key in value:
            if key not in rules:
                raise Invalid(f"{where} has an unknown key {key!r}")
        return {key: rules[key](f"{where}[{key!r}]", item) for key, item in value.items()}

    return checked
