"""`PathReport`: what was measured along a path, and what follows from it."""

import math
from dataclasses import dataclass

import numpy as np

from mc_keras.evaluation.quantities import loss_texts, quantity
from mc_keras.evaluation.report import (
    Report,
    damage_told,
    field_of,
    fields_of,
    number_from_json,
    numbers_from_json,
    numbers_to_json,
    read_record,
    write_record,
)
from mc_keras.storage import PathLike

FORMAT = "mc_keras.path_report"
FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class PathReport(Report):
    """Loss and metrics on each split at each position of a path.

    `report["test_loss"]` are the values of one quantity, shape `(T,)`. Where one of them is not
    finite, `worst`, `mean` and `barrier` of that quantity are not finite either.

    Attributes:
        t: Positions, rising, the ends and the knots of the path among them. Shape `(T,)`.
        steps: L2 distances in weight space between neighbouring positions, shape `(T - 1,)`.
        chord: L2 distance between the ends.
        method: Name of the method that made the path.
    """

    t: np.ndarray
    steps: np.ndarray
    chord: float
    method: str

    @property
    def length(self) -> float:
        """Length of the path in weight space, L2, as the sum of the distances in `steps`."""
        return float(self.steps.sum())

    @property
    def relative_length(self) -> float:
        """Length over that of the straight line; 1 for a path that stays where it is."""
        if self.chord:
            return self.length / self.chord
        return math.inf if self.length else 1.0

    @property
    def travelled(self) -> np.ndarray:
        """Fraction of the length that lies before each position; `t` where the length is zero."""
        if not 0 < self.length < math.inf:
            return self.t
        travelled = np.concatenate([[0.0], np.cumsum(self.steps)]) / self.length
        travelled[-1] = 1.0
        return travelled

    def worst(self, name: str) -> float:
        """Largest loss, smallest accuracy on the path; NaN if any value is."""
        return float(self[name].max() if self.lower_is_better(name) else self[name].min())

    def worst_position(self, name: str) -> float:
        """Position of the worst value; of the first NaN if there is one."""
        values = self[name]
        index = values.argmax() if self.lower_is_better(name) else values.argmin()
        return float(self.t[index])

    def mean(self, name: str, weighting: str = "t") -> float:
        """Mean along the path, by the trapezoidal rule.

        Args:
            name: The quantity.
            weighting: `"t"` to weight all of `[0, 1]` equally, `"arclength"` all of the length.

        Raises:
            ValueError: If there is no such weighting.
        """
        if weighting not in ("t", "arclength"):
            raise ValueError(
                f"There is no weighting {weighting!r}; the weightings are 't' and 'arclength'."
            )
        along = self.t if weighting == "t" else self.travelled
        return float(np.trapezoid(self[name], along))

    def barrier(self, name: str, definition: str = "chord") -> float:
        """How far the path rises above its ends; for an accuracy, how far the error does.

        Args:
            name: The quantity.
            definition: `"chord"`: above the straight line between the values at the ends,
                `max(v(s) - (1 - s) * v(0) - s * v(1))`, where `s` is the fraction of the length
                travelled (on a straight path `t`). `"ends"`: above the mean of the values at the
                ends, `max(v) - (v(0) + v(1)) / 2`.

        Raises:
            ValueError: If there is no such definition.

        Reference:
            Entezari et al., 2022, https://arxiv.org/abs/2110.06296 (chord); Frankle et al., 2020,
            https://arxiv.org/abs/1912.05671 (ends).
        """
        values = self[name] if self.lower_is_better(name) else -self[name]
        if definition == "chord":
            s = self.travelled
            # An end that is infinite would make NaN of 0 * infinity at the other.
            with np.errstate(invalid="ignore"):
                chord = np.where(s < 1, (1 - s) * values[0], 0) + np.where(s > 0, s * values[-1], 0)
                return float((values - chord).max())
        if definition == "ends":
            with np.errstate(invalid="ignore"):
                return float(values.max() - (values[0] + values[-1]) / 2)
        raise ValueError(
            f"There is no barrier {definition!r}; the definitions are 'chord' and 'ends'."
        )

    def table(self) -> str:
        """The figures of each quantity as a text table; accuracies in per cent."""
        heads = ("start", "end", "worst", "at t", "mean", "by length", "barrier", "over ends")
        width = max(map(len, self.names))
        lines = [" " * width + "".join(f"{head:>11}" for head in heads)]
        for name in self.names:
            shown = quantity(name, self.splits)
            values = [
                *self[name][[0, -1]],
                self.worst(name),
                self.mean(name),
                self.mean(name, "arclength"),
                self.barrier(name),
                self.barrier(name, "ends"),
            ]
            texts = [f"{v * 100:.2f}" for v in values] if shown.percent else loss_texts(values)
            texts.insert(heads.index("at t"), f"{self.worst_position(name):.3f}")
            unit = " %" if shown.percent else ""
            lines.append(f"{name:{width}}" + "".join(f"{text:>11}" for text in texts) + unit)
        lines.append(
            f"{self.method}: {len(self.t)} positions, length {self.length:.4g} against "
            f"{self.chord:.4g} of the straight line"
        )
        if self.loss_name:
            lines.append(f"loss: {self.loss_name}")
        return "\n".join(lines)

    def save(self, file: PathLike) -> None:
        """Write the report as JSON, atomically, with a digest by which `load` knows it again.

        JSON has no numbers for values that are not finite: they are written as the strings
        `"NaN"`, `"Infinity"` and `"-Infinity"`, and read back as numbers.

        Raises:
            OSError: If the file cannot be written.
        """
        record = {
            **self._record(FORMAT, FORMAT_VERSION),
            "method": self.method,
            "t": self.t.tolist(),
            "steps": numbers_to_json(self.steps),
            "chord": numbers_to_json(np.array([self.chord]))[0],
        }
        write_record(file, record)

    @classmethod
    def load(cls, file: PathLike) -> "PathReport":
        """Read a report that `save` wrote.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is not a path report, damaged, altered, or of a newer format.
        """
        record = read_record(file, FORMAT, FORMAT_VERSION)
        with damage_told(file):
            t, steps = (numbers_from_json(record.get(name)) for name in ("t", "steps"))
            if len(steps) != len(t) - 1:
                raise ValueError(f"it has {len(t)} positions and {len(steps)} steps between them")
            return cls(
                **fields_of(record, t.shape),
                t=t,
                steps=steps,
                chord=number_from_json(record.get("chord")),
                method=field_of(record, "method", str),
            )
