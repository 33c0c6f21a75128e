"""What every report has in common: named quantities, and their JSON."""

import json
import math
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mc_keras._version import __version__
from mc_keras.storage import PathLike


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """Quantities measured on each split at many points of weight space.

    `report["test_loss"]` are the values of one quantity, `report.names` all of them. A loss or
    metric that is not finite at some point is kept as it is.

    Attributes:
        values: Quantity `"<split>_<metric>"` to its values, float64. Losses are means over the
            examples, accuracies are fractions.
        smaller_is_better: For each quantity, whether small values are the good ones.
        splits: Names of the splits.
        metadata: JSON-able: versions, settings, fingerprints of points and data, provenance.
    """

    values: Mapping[str, np.ndarray]
    smaller_is_better: Mapping[str, bool]
    splits: tuple[str, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of one quantity.

        Raises:
            KeyError: If it was not measured.
        """
        if name not in self.values:
            raise KeyError(f"The report has no {name!r}; it has {', '.join(self.names)}.")
        return self.values[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(self.values)

    def lower_is_better(self, name: str) -> bool:
        """Whether small values of a quantity are the good ones."""
        self[name]
        return self.smaller_is_better[name]

    def _record(self, kind: str, version: int) -> dict[str, Any]:
        """What the JSON record of this kind of report holds in any case."""
        return {
            "format": kind,
            "format_version": version,
            "mc_keras": __version__,
            "splits": list(self.splits),
            "values": {name: numbers_to_json(v) for name, v in self.values.items()},
            "lower_is_better": dict(self.smaller_is_better),
            "metadata": self.metadata,
        }


def fields_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Report` from the record of any kind of report."""
    return {
        "values": {name: numbers_from_json(v) for name, v in record["values"].items()},
        "smaller_is_better": record["lower_is_better"],
        "splits": tuple(record["splits"]),
        "metadata": record["metadata"],
    }


def numbers_to_json(array: np.ndarray) -> list[Any]:
    """Numbers of an array as (nested) lists, those that are not finite as strings."""
    if array.ndim > 1:
        return [numbers_to_json(row) for row in array]
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return [v if math.isfinite(v) else names.get(v, "NaN") for v in array.tolist()]


def numbers_from_json(items: list[Any]) -> np.ndarray:
    """The array that `numbers_to_json` wrote down, float64."""
    return np.array(items, dtype="float64")


def read_record(file: PathLike, kind: str, version: int) -> dict[str, Any]:
    """JSON record of this kind.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is something else, damaged, or of a newer format.
    """
    try:
        record = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file} is not a whole JSON file, it is damaged or something else: {error}"
        ) from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != kind:
        raise ValueError(f"{file} is not a {kind} file but holds {found!r}; choose another.")
    if record["format_version"] > version:
        raise ValueError(
            f"{file} has format version {record['format_version']} of {kind}; mc_keras "
            f"{__version__} reads up to {version}: upgrade mc_keras to load it."
        )
    return record
