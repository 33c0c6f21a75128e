"""Paths along an arc in the latents of a flow."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.flows.flow import Flow
from mc_keras.flows.rows import pack, unpack
from mc_keras.paths import Path
from mc_keras.user_warning import warn_user
from mc_keras.weight_space import WeightSpace

# Rows of points that were computed last; a point by an autoregressive flow takes seconds.
_REMEMBERED = 4
# Of the largest weight. The rounding of flows on networks like those that they learned from is a
# thousand times smaller.
_LARGEST_ERROR = 1e-3


class TransportedPath(Path):
    """Rows on an arc between their latents; what belongs to no row on the straight line.

    `row(t) = nu^-1(cos(pi t / 2) nu(a) + sin(pi t / 2) nu(b)) + (1 - t) da + t db`, where
    `da = a - nu^-1(nu(a))` and `db` likewise are what the flow's rounding adds at the ends.

    Args:
        space: Weight space of a private copy of the architecture.
        ends: Points at `t = 0` and `t = 1`.
        flow: The map `nu`.
        axes: Numbers of the arrays of a point that hold rows, and the axis of the units in each.
        states: States at the ends.
        images: `nu(a)`, `nu(b)`, `da` and `db`, computed if not given.
        method: Name of the method.
        provenance: See `Path`.

    Raises:
        ValueError: If the rows do not fit the flow, or the flow maps them to numbers that are not
            finite.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.3, eq. 7.
    """

    def __init__(
        self,
        space: WeightSpace,
        ends: Sequence[Sequence[np.ndarray]],
        flow: Flow,
        axes: Sequence[tuple[int, int]],
        *,
        states: tuple[list[np.ndarray], list[np.ndarray]],
        images: Sequence[np.ndarray] | None = None,
        method: str = "transported",
        provenance: dict[str, Any] | None = None,
    ):
        super().__init__(space, method=method, provenance=provenance)
        self.ends = [list(end) for end in ends]
        self.flow = flow
        self.axes = [(index, axis) for index, axis in axes]
        self.states = states
        self.images = list(images or self._computed_images())
        self._flow_space = WeightSpace(flow)
        self._flow_weights = self._flow_space.read()
        self._flow_state = self._flow_space.read_state()
        self._compiled: Callable[[Any], Any] | None = None
        self._remembered: dict[float, np.ndarray] = {}

    def _computed_images(self) -> list[np.ndarray]:
        import tensorflow as tf

        # Compiled: thousands of steps of an autoregressive flow are slow one by one. Partial:
        # TensorFlow counts traces by code, and would warn of the fifth path.
        forward, inverse = (
            tf.function(functools.partial(method))
            for method in (self.flow.forward, self.flow.inverse)
        )
        rows = [pack(end, self.axes).astype("float32") for end in self.ends]
        latents = [forward(tf.constant(r)).numpy() for r in rows]
        gaps = [r - inverse(tf.constant(z)).numpy() for r, z in zip(rows, latents, strict=True)]
        if not all(np.isfinite(array).all() for array in (*latents, *gaps)):
            raise ValueError(
                f"The flow '{self.flow.name}' maps the units of these networks to numbers that are "
                "not finite: they are unlike those that it was trained on, or its training "
                "diverged. Train a connection model on networks like these."
            )
        error = max(float(np.abs(gap).max()) for gap in gaps)
        error /= max(float(np.abs(row).max()) for row in rows) or 1.0
        if error > _LARGEST_ERROR:
            warn_user(
                f"The flow '{self.flow.name}' does not find back the units of these networks: it "
                f"misses {error:.1%} of the largest weight, so they are unlike those that it was "
                "trained on. Measure this path before you trust it, or train a connection model "
                "on networks like these."
            )
        return [*latents, *gaps]

    @property
    def knots(self) -> tuple[float, ...]:
        """The two ends."""
        return (0.0, 1.0)

    def _rows(self, t: Any, images: Sequence[Any]) -> Any:
        """Rows at a scalar tensor `t`."""
        angle = t * (math.pi / 2)
        latents = keras.ops.cos(angle) * images[0] + keras.ops.sin(angle) * images[1]
        return self.flow.inverse(latents) + (1 - t) * images[2] + t * images[3]

    def _point(self, t: float) -> list[np.ndarray]:
        if t in (0.0, 1.0):
            return [np.array(array) for array in self.ends[int(t)]]
        if t not in self._remembered:
            while len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[t] = self._computed_rows(t)
        arrays = unpack(self._remembered[t], self.axes, [a.shape for a in self.ends[0]])
        return [
            np.array(arrays[i] if i in arrays else (1 - t) * a + t * b, a.dtype, order="C")
            for i, (a, b) in enumerate(zip(*self.ends, strict=True))
        ]

    def _computed_rows(self, t: float) -> np.ndarray:
        import tensorflow as tf

        if self._compiled is None:
            images = [tf.constant(array) for array in self.images]
            self._compiled = tf.function(functools.partial(self._rows, images=images))
        return self._compiled(tf.constant(t, "float32")).numpy()

    def _state(self, t: float) -> list[np.ndarray]:
        if t in (0.0, 1.0):
            return [np.array(array) for array in self.states[int(t)]]
        return [
            ((1 - t) * a + t * b).astype(a.dtype) if _is_float(a) else np.array(a)
            for a, b in zip(*self.states, strict=True)
        ]

    def tensor_point(
        self, t: Any, as_tensor: Callable[[np.ndarray], Any] = keras.ops.convert_to_tensor
    ) -> tuple[list[Any], list[Any]]:
        """See `Path`."""
        t = keras.ops.cast(t, "float32")
        images = [as_tensor(array) for array in self.images]
        # The flow's weights become the graph owner's, like every array of a path.
        weights = [as_tensor(array) for array in self._flow_weights]
        orders = [as_tensor(array) for array in self._flow_state]
        rows, _ = self._flow_space.at(weights, lambda: self._rows(t, images), state=orders)
        arrays = unpack(rows, self.axes, [a.shape for a in self.ends[0]])

        def between(a: np.ndarray, b: np.ndarray) -> Any:
            if not _is_float(a):
                return as_tensor(a)
            s = keras.ops.cast(t, a.dtype.name)
            return (1 - s) * as_tensor(a) + s * as_tensor(b)

        point = [
            keras.ops.cast(arrays[i], a.dtype.name) if i in arrays else between(a, b)
            for i, (a, b) in enumerate(zip(*self.ends, strict=True))
        ]
        return point, [between(a, b) for a, b in zip(*self.states, strict=True)]

    def describe(self, store: Any) -> dict[str, Any]:
        """See `Path`."""
        return {
            "kind": "transported",
            "ends": [[store.add(array) for array in end] for end in self.ends],
            "states": [[store.add(array) for array in state] for state in self.states],
            "images": [store.add(array) for array in self.images],
            "axes": self.axes,
            "flow": keras.saving.serialize_keras_object(self.flow),
            "flow_weights": [store.add(array) for array in self._flow_weights],
            "flow_state": [store.add(array) for array in self._flow_state],
        }

    @classmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "TransportedPath":
        """See `Path`."""
        flow = keras.saving.deserialize_keras_object(config["flow"])
        weights, state = ([load(n) for n in config[f"flow_{k}"]] for k in ("weights", "state"))
        WeightSpace(flow).write(weights, state)
        start, end = ([load(name) for name in names] for names in config["states"])
        return cls(
            space,
            [[load(name) for name in names] for names in config["ends"]],
            flow,
            [(index, axis) for index, axis in config["axes"]],
            states=(start, end),
            images=[load(name) for name in config["images"]],
        )


def _is_float(array: np.ndarray) -> bool:
    """Also of bfloat16, which NumPy does not count among the floats."""
    return keras.backend.is_float_dtype(array.dtype.name)
