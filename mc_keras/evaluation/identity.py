"""Fingerprints: by which a checkpoint knows the evaluation it belongs to."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.architecture import structure
from mc_keras.paths import Path
from mc_keras.storage import fingerprint


def path_fingerprint(path: Path) -> str:
    """Hexadecimal digest of a path: its architecture, control points and coefficients."""
    return _digest({"path": path.describe(_Digests()), "model": structure(path.space.model)})


def points_fingerprint(model: keras.Model, points: Sequence[Sequence[np.ndarray]]) -> str:
    """Hexadecimal digest of an architecture and some points of its weight space."""
    return _digest({"points": [fingerprint(p) for p in points], "model": structure(model)})


class _Digests:
    """Stands for arrays by their fingerprints where `Path.describe` stores them."""

    def add(self, array: np.ndarray) -> str:
        return fingerprint([array])


def _digest(description: Any) -> str:
    text = json.dumps(description, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
