"""What every report has in common: named quantities, and their JSON."""

import contextlib
import hashlib
import json
import math
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mc_keras._version import __version__
from mc_keras.storage import PathLike, write_json

_DIGEST = "sha256"
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


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

    @property
    def loss_name(self) -> str:
        """Which loss it is, such as `"MeanSquaredError"`; empty if the report does not say."""
        loss = self.metadata.get("evaluation", {}).get("measures", {}).get("loss", {})
        logits = loss.get("config", {}).get("from_logits")
        options = "" if logits is None else f"(from_logits={logits})"
        return f"{loss.get('class', '')}{options}"

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


def fields_of(record: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Arguments of `Report` from the record of any kind of report.

    Args:
        record: As `read_record` returns it.
        shape: Of the values of each quantity.

    Raises:
        ValueError: If something is missing, of another kind or of another shape.
    """
    values = {
        name: numbers_from_json(items, len(shape))
        for name, items in field_of(record, "values", dict).items()
    }
    for name, array in values.items():
        if array.shape != shape:
            raise ValueError(f"{name!r} has values of shape {array.shape}, its points {shape}")
    lower = field_of(record, "lower_is_better", dict)
    return {
        "values": values,
        "smaller_is_better": {name: field_of(lower, name, bool) for name in values},
        "splits": tuple(str(split) for split in field_of(record, "splits", list)),
        "metadata": field_of(record, "metadata", dict),
    }


def field_of(record: Mapping[str, Any], name: str, kind: type) -> Any:
    """What a record, or a part of it, holds under a name.

    Raises:
        ValueError: If there is nothing, or something of another kind.
    """
    if not isinstance(record.get(name), kind):
        raise ValueError(f"it has no {name!r}, or one of another kind")
    return record[name]


def numbers_to_json(array: np.ndarray) -> list[Any]:
    """Numbers of an array as (nested) lists, those that are not finite as strings."""
    if array.ndim > 1:
        return [numbers_to_json(row) for row in array]
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return [v if math.isfinite(v) else names.get(v, "NaN") for v in array.tolist()]


def numbers_from_json(items: Any, dimensions: int = 1) -> np.ndarray:
    """The array of so many dimensions that `numbers_to_json` wrote down, float64.

    Raises:
        ValueError: If they are other than numbers, or not of so many dimensions.
    """
    if not isinstance(items, list):
        raise ValueError(f"it has {items!r:.40} in the place of a list of numbers")
    if dimensions > 1:
        return np.array([numbers_from_json(row, dimensions - 1) for row in items])
    return np.array([number_from_json(item) for item in items], dtype="float64")


def number_from_json(item: Any) -> float:
    """One of the numbers that `numbers_to_json` wrote down.

    Raises:
        ValueError: If it is something else.
    """
    # A bool is an int too.
    if type(item) in (int, float) or (isinstance(item, str) and item in _NOT_FINITE):
        return float(item)
    raise ValueError(f"it has {item!r:.40} in the place of a number")


def write_record(file: PathLike, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, atomically, with a digest by which `read_record` knows it again.

    Raises:
        OSError: If the file cannot be written.
    """
    write_json(file, {**record, _DIGEST: _digest(record)})


def read_record(file: PathLike, kind: str, version: int) -> dict[str, Any]:
    """JSON record of this kind. Those of earlier versions of mc_keras have no digest.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is something else, damaged, altered, or of a newer format.
    """
    try:
        record = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        digest = record.pop(_DIGEST, None) if isinstance(record, dict) else None
        altered = digest is not None and digest != _digest(record)
    # Brackets may be nested deeper than Python can follow.
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{file} is not a whole JSON file, it is damaged or something else: {error}"
        ) from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != kind:
        raise ValueError(f"{file} is not a {kind} file but holds {found!r:.40}; choose another.")
    with damage_told(file):
        found_version = field_of(record, "format_version", int)
    if found_version > version:
        raise ValueError(
            f"{file} has format version {found_version} of {kind}; mc_keras {__version__} reads up "
            f"to {version}: upgrade mc_keras to load it."
        )
    if altered:
        raise ValueError(
            f"{file} was altered after it was written: its contents do not match their {_DIGEST}. "
            "Measure it again, or copy it again."
        )
    return record


@contextlib.contextmanager
def damage_told(file: PathLike) -> Iterator[None]:
    """Says of which file it is that a record holds something else than it should.

    Raises:
        ValueError: In the place of the errors that say what.
    """
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{file} is not a whole report: {error}. Measure it again, or copy it again."
        ) from error


def _digest(record: Mapping[str, Any]) -> str:
    """SHA-256 digest of a record as it is after it was written and read."""
    read = json.loads(json.dumps(record))
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
