"""Warnings that name the line outside of this package that asked for something."""

import inspect
import warnings


def warn_user(message: str) -> None:
    """Warn as if the first caller outside of this package had."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("mc_keras"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
