"""One compiled step: a block of data through the network at every point of a group."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mc_keras.evaluation.division import DividedModel
from mc_keras.evaluation.groups import Plan, Weights
from mc_keras.weight_space import WeightSpace

# accumulators of one point, outputs, new state, targets -> accumulators
Update = Callable[[Sequence[Any], Any, Sequence[Any], Any], list[Any]]


class Sweep:
    """A compiled step that adds a block of data to the accumulators of every point of a group.

    The weights are arguments, so that nothing is compiled again from group to group.

    Args:
        space: Weight space of the model to run.
        divided: The model, divided.
        plan: How the points are evaluated.
        update: Adds a batch at one point to its accumulators.
        fuse: Whether XLA compiles the loop over the points, for blocks of `rows` examples.
        rows: Examples in a full block.
    """

    def __init__(
        self,
        space: WeightSpace,
        divided: DividedModel,
        plan: Plan,
        update: Update,
        *,
        fuse: bool,
        rows: int,
    ):
        self._space = space
        self._divided = divided
        self._moving = {variable: n for n, variable in enumerate(plan.moving)}
        self._kernel = plan.kernel
        self._bias = plan.bias
        self._update = update
        self._fuse = fuse
        self._rows = rows
        self._compiled: dict[Any, Any] = {}

    def __call__(self, weights: Weights, accumulators: list[Any], x: Any, y: Any) -> list[Any]:
        """The accumulators, each of shape `(capacity, ...)`, after the block `(x, y)`."""
        if self._fuse and x.shape[0] == self._rows:
            try:
                return self._run(weights, accumulators, x, y, fuse=True)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                self._fuse = False  # a metric that XLA cannot compile
        return self._run(weights, accumulators, x, y, fuse=False)

    def _run(self, *arguments: Any, fuse: bool) -> list[Any]:
        *others, x, y = arguments
        # The arrays of another split may be of other dtypes.
        data = [_spec(array) if fuse else _any_length(_spec(array)) for array in (x, y)]
        key = (fuse, *data)
        if key not in self._compiled:
            signature = (*tf.nest.map_structure(_spec, others), *data)
            # Partial: TensorFlow counts traces by code, and warns of the fifth evaluation.
            loop = functools.partial(self._loop)
            step = self._step_with(tf.function(loop, autograph=False, jit_compile=fuse))
            step = functools.partial(step)
            self._compiled[key] = tf.function(step, input_signature=signature, autograph=False)
        return self._compiled[key](*arguments)

    def _step_with(self, loop: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def step(weights: Weights, accumulators: list[Any], x: Any, y: Any) -> list[Any]:
            state = [array[0] for array in weights.states]
            features = self._divided.below(self._point(weights, None), state, x)
            if weights.kernels:
                features = self._divided.products(features, weights.kernels)
            # Only what the loop reads: XLA copies its arguments.
            return loop(weights._replace(kernels=[]), accumulators, features, y)

        return step

    def _loop(self, weights: Weights, accumulators: list[Any], features: Any, y: Any) -> list[Any]:
        def body(i: Any, accumulators: list[Any]) -> tuple[Any, list[Any]]:
            point = self._point(weights, i)
            state = [array[i] for array in weights.states]
            if self._kernel is None:
                outputs, new_state = self._divided.after_input(point, state, features)
            else:
                coefficients = tf.unstack(weights.coefficients[i])
                product = sum(c * p for c, p in zip(coefficients, features, strict=True))
                bias = None if self._bias is None else point[self._bias]
                outputs, new_state = self._divided.after_product(point, state, product, bias)
            updated = self._update([a[i] for a in accumulators], outputs, new_state, y)
            return i + 1, [
                tf.tensor_scatter_nd_update(a, [[i]], value[None])
                for a, value in zip(accumulators, updated, strict=True)
            ]

        return tf.while_loop(lambda i, _: i < weights.count, body, (tf.constant(0), accumulators))[
            1
        ]

    def _point(self, weights: Weights, i: Any) -> list[Any]:
        """Point number `i`; without a number, with zeros for what moves and must not be read."""
        fixed = iter(weights.fixed)
        point = []
        for position, variable in enumerate(self._space.variables):
            if position == self._kernel or (i is None and position in self._moving):
                point.append(tf.zeros(variable.shape, variable.dtype))
            elif position in self._moving:
                point.append(weights.moving[self._moving[position]][i])
            else:
                point.append(next(fixed))
        return point


def _spec(array: Any) -> tf.TensorSpec:
    return tf.TensorSpec(array.shape, array.dtype)


def _any_length(spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
