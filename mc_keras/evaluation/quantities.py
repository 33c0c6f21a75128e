"""How a measured quantity such as `"test_accuracy"` is written for a reader."""

import math
from collections.abc import Iterable
from typing import NamedTuple

_FRACTIONS = ("accuracy", "acc", "precision", "recall", "disagreement")


class Quantity(NamedTuple):
    """A measured quantity in the units of tables and figures.

    Attributes:
        metric: Name of the metric, in words: `"accuracy"`.
        split: Name of the part of the data: `"test"`.
        factor: What a value is multiplied with: 100 for fractions, which are shown in per cent.
        unit: `"%"` or empty.
    """

    metric: str
    split: str
    factor: float
    unit: str

    @property
    def label(self) -> str:
        """Text of an axis."""
        return f"{self.split} {self.metric}" + (f" ({self.unit})" if self.unit else "")

    @property
    def percent(self) -> bool:
        """Whether it is a fraction, shown in per cent."""
        return self.unit == "%"

    def text(self, value: float) -> str:
        """A value as a short text, `"97.3 %"` (its space does not break) or `"0.081"`."""
        if not math.isfinite(value):
            return str(value)
        number = f"{value * self.factor:.1f}" if self.unit else short_number(value)
        return f"{number}\u00a0{self.unit}" if self.unit else number


def quantity(name: str, splits: Iterable[str]) -> Quantity:
    """The quantity that a name of a report stands for.

    Args:
        name: `"<split>_<metric>"`.
        splits: Names of the report's splits; they may hold underscores, and so may a metric.

    Example:
    >>> quantity("test_accuracy", ["train", "test"]).label
    'test accuracy (%)'
    """
    split = max((split for split in splits if name.startswith(f"{split}_")), key=len)
    metric = name[len(split) + 1 :]
    fraction = metric.split("_")[-1] in _FRACTIONS
    return Quantity(
        metric=metric.replace("_", " "),
        split=split,
        factor=100.0 if fraction else 1.0,
        unit="%" if fraction else "",
    )


def short_number(value: float) -> str:
    """Two or three significant digits, without an exponent if that is short: `"0.081"`."""
    if value != 0 and math.isfinite(value) and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:.{digits}f}"


def loss_texts(values: Iterable[float], decimals: int = 4) -> list[str]:
    """Losses as texts to stand below each other: of so many decimals, or of powers of ten.

    Only a cross-entropy is sure to be of the order of 1. Powers of ten are for values from 1e5 on,
    and for all values where even the largest would keep one digit at most.

    Example:
    >>> loss_texts([0.25, 3e9]), loss_texts([2.5e-8, 0.0])
    (['0.2500', '3.000e+09'], ['2.500e-08', '0.000e+00'])
    """
    values = list(values)
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    small = 0 < largest < 10.0 ** (1 - decimals)
    return [
        f"{v:.3e}" if small or 1e5 <= abs(v) < math.inf else f"{v:.{decimals}f}" for v in values
    ]
