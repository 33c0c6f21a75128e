"""Training a flow by the loss of the networks on its paths: the objective *Bijection*."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.architecture import check_same_architecture
from mc_keras.cloning import clone
from mc_keras.flows.flow import Flow, checked_flow
from mc_keras.flows.networks import check_fits
from mc_keras.flows.rows import population_rows, rows_layout, unpack
from mc_keras.weight_space import WeightSpace


class BijectionModel(keras.Model):
    """A flow to be trained so that the networks on its paths are good.

    `compile` with the loss of the networks and `fit` with their data. Each batch of training draws
    two networks of the population, matches their units at random, goes to the position `t` on the
    path between them and evaluates the network there; the gradient goes through the network, the
    inverse of the flow and the flow.

    In inference (`evaluate`, `predict`, validation) the model is the network at `position` on the
    path between the two networks of the held-out pair number `pair`, units matched in their order.

    `fit` resumes exactly with `keras.callbacks.BackupAndRestore` where the batches are the same:
    `fit(shuffle=False)`, or `keras.utils.set_random_seed` before it. What is saved is the flow,
    `model.flow.save("connection.keras")`; `ModelCheckpoint` takes `save_weights_only=True`.

    Args:
        flow: The flow; `fit` changes it. Call its `adapt` first.
        networks: The population, trained models of one architecture with one hidden layer.
        held_out: Other networks of that kind, the two of a pair one after the other; the first
            two of the population if not given.
        position: Where on the paths the loss is taken: `t` in (0, 1), or `None` to draw it
            uniformly for each batch. The paths are worst in the middle.
        seed: Seed of the networks, the orders of their units and the positions that are drawn.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        TypeError: If `flow` is no flow, or the networks are not Keras models.
        ValueError: If there are fewer than two, they differ, hold NaN, or do not fit the flow.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.3, eq. 8.
    """

    def __init__(
        self,
        flow: Flow,
        networks: Sequence[keras.Model],
        held_out: Sequence[keras.Model] = (),
        *,
        position: float | None = 0.5,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        checked_flow(flow)
        if position is not None and not 0 < position < 1:
            raise ValueError(f"The position must be inside (0, 1) or None, received {position}.")
        held_out = list(held_out) or list(networks)[:2]
        self.flow = flow
        self.training_position = position
        self.seed = seed
        # Plain objects and arrays: neither weights of this model nor saved with it.
        self._population = _Population(networks)
        if len(held_out) % 2:
            raise ValueError(
                f"The held-out networks are pairs, one after the other, received {len(held_out)}."
            )
        self._held_out = _Population(held_out)
        check_same_architecture(networks[0], held_out[0])
        check_fits(flow, networks[0])
        self._space = WeightSpace(clone(networks[0]))
        self._axes = rows_layout(self._space).axes
        self.num_pairs = len(held_out) // 2
        self._step = self._counter("step")
        self._pair = self._counter("pair")
        self._position = self.add_weight(
            name="position",
            shape=(),
            initializer=keras.initializers.Constant(0.5),
            trainable=False,
        )
        self.built = True

    def _counter(self, name: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    @property
    def pair(self) -> int:
        """Number of the held-out pair that `evaluate` and `predict` connect."""
        return int(self._pair)

    @pair.setter
    def pair(self, number: int) -> None:
        if not 0 <= number < self.num_pairs:
            raise ValueError(f"There are {self.num_pairs} held-out pairs, received {number}.")
        self._pair.assign(number)

    @property
    def position(self) -> float:
        """Where on the path `evaluate` and `predict` stand, in `[0, 1]`."""
        return float(self._position)

    @position.setter
    def position(self, t: float) -> None:
        if not 0 <= t <= 1:
            raise ValueError(f"The position must be in [0, 1], received {t}.")
        self._position.assign(t)

    def call(self, x: Any, training: Any = None) -> Any:
        """Outputs of the network on the path; see the class for which one."""
        import tensorflow as tf

        if training:
            first, second, order, t = self._draw()
            self._step.assign_add(1)
            population = self._population
        else:
            first, second = 2 * self._pair, 2 * self._pair + 1
            t, population, order = self._position, self._held_out, None
        t = tf.convert_to_tensor(t)
        start, end = population.rows(first), population.rows(second)
        if order is not None:
            end = tf.gather(end, order)
        latents = self.flow.forward(tf.concat([start, end], 0))
        a, b = tf.split(latents, 2)
        angle = t * (math.pi / 2)
        rows = self.flow.inverse(tf.cos(angle) * a + tf.sin(angle) * b)
        variables = self._space.variables
        arrays = unpack(rows, self._axes, [v.shape for v in variables])
        for index, values in population.others.items():
            arrays[index] = (1 - t) * values[first] + t * values[second]
        return self._space([keras.ops.cast(arrays[i], v.dtype) for i, v in enumerate(variables)], x)

    def get_config(self) -> dict[str, Any]:
        """There is none: the networks are not a part of what is saved.

        Raises:
            NotImplementedError: Always, with what to save instead.
        """
        raise NotImplementedError(
            "A BijectionModel holds networks and is not saved as a whole: save its flow, "
            'model.flow.save("connection.keras"), or its weights, ModelCheckpoint(file, '
            "save_weights_only=True)."
        )

    def _draw(self) -> tuple[Any, Any, Any, Any]:
        """Numbers of two networks, an order of the second one's units, and a position."""
        import tensorflow as tf

        def seed(purpose: int) -> Any:
            number = (4 * self.seed + purpose) % 2**31
            return tf.stack([tf.constant(number, "int32"), tf.convert_to_tensor(self._step)])

        count, units = self._population.stack.shape[:2]
        pair = tf.random.experimental.stateless_shuffle(tf.range(count), seed(0))[:2]
        order = tf.random.experimental.stateless_shuffle(tf.range(units), seed(1))
        t = self.training_position or tf.random.stateless_uniform((), seed(2))
        return pair[0], pair[1], order, t


class _Population:
    """Networks as tensors.

    Attributes:
        stack: Rows, shape `(networks, units, weights of a unit)`.
        others: By number, the arrays that belong to no unit, stacked.
    """

    def __init__(self, networks: Sequence[keras.Model]):
        import tensorflow as tf

        self.stack = tf.constant(population_rows(networks), "float32")
        spaces = [WeightSpace(network) for network in networks]
        inside = {index for index, _ in rows_layout(spaces[0]).axes}
        points = [space.read() for space in spaces]
        self.others = {
            index: tf.constant(np.stack([point[index] for point in points]), "float32")
            for index in range(len(points[0]))
            if index not in inside
        }

    def rows(self, number: Any) -> Any:
        """Rows of one network."""
        return self.stack[number]
