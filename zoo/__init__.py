"""The zoo: trained networks, the data they were trained on, and how they were made.

Names are imported on first use: `list`, `info` and the downloads work without TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "Entry": ("entries", "Entry"),
    "Pair": ("pairs", "Pair"),
    "info": ("manifest", "info"),
    "list": ("manifest", "names"),
    "load_connection": ("connections", "load_connection"),
    "load_data": ("datasets", "load_data"),
    "load_pair": ("pairs", "load_pair"),
    "load_population": ("populations", "load_population"),
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mc_keras.zoo' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(f"mc_keras.zoo.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__.copy()
