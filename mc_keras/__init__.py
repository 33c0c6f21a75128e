"""Mode connectivity for Keras: paths of good weights between trained networks.

Public names are imported on first use, so that `import mc_keras` takes milliseconds and
TensorFlow is loaded only by the first call that needs it.
"""

import importlib
import sys
from typing import Any

from mc_keras._version import __version__ as __version__

_SUBPACKAGES = (
    "connectors",
    "evaluation",
    "flows",
    "layers",
    "models",
    "paths",
    "plotting",
    "reporting",
    "units",
    "zoo",
)

_HOMES = {
    "Bezier": "mc_keras.paths",
    "CurveModel": "mc_keras.models",
    "Path": "mc_keras.paths",
    "PathReport": "mc_keras.evaluation",
    "PlaneReport": "mc_keras.evaluation",
    "PolygonalChain": "mc_keras.paths",
    "concatenate": "mc_keras.paths",
    "connect": "mc_keras.connectors",
    "evaluate_path": "mc_keras.evaluation",
    "evaluate_plane": "mc_keras.evaluation",
    "export_path": "mc_keras.export",
    "export_points": "mc_keras.export",
    "fold_batch_norm": "mc_keras.folding",
    "load_path": "mc_keras.paths",
    "unit_groups": "mc_keras.units",
}

__all__ = sorted(["__version__", *_SUBPACKAGES, *_HOMES])


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"mc_keras.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mc_keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


if "keras" in sys.modules:
    # `keras.saving.load_model` finds our classes only once they are registered; with Keras
    # already loaded this costs a few milliseconds, without it it would cost TensorFlow.
    importlib.import_module("mc_keras.models")
    importlib.import_module("mc_keras.flows")
