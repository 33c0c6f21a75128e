"""Batch-norm statistics at a point of weight space, by exact pooled moments.

The moving statistics of a trained network belong to its own weights; between two networks they
are wrong, and with them the network. Here they are measured again on the training inputs.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mc_keras.cloning import clone
from mc_keras.weight_space import WeightSpace

BATCH_SIZE = 500


class BatchStatistics:
    """Moments at the batch-norm layers of a network, pooled over batches.

    Every layer sees the batch statistics of the layers below it, as in training; dropout is off.
    The moments of the batches are pooled exactly, by the law of total variance with the batch
    sizes as weights: `mean = E[mean_b]`, `variance = E[variance_b] + E[(mean_b - mean)**2]`, in
    float64. Frozen batch-norm layers (`trainable=False`) keep their statistics, as in training.
    Under a mask, the moments of a batch are of its unmasked places, weighted by its examples.

    Args:
        model: Model of the architecture. Not changed.

    Attributes:
        space: Weight space of a private copy whose batch-norm layers normalise by the batch. The
            new state of a call in it holds the moments of that batch.

    Reference:
        Garipov et al., 2018, appendix A.2; Ioffe and Szegedy, 2015, section 3.1.
    """

    def __init__(self, model: keras.Model):
        self.space = WeightSpace(clone(model))
        self._moments = _moments(self.space)
        for layer in _norm_layers(self.space.model):
            _use_batch_statistics(layer)

    @property
    def variables(self) -> list[int]:
        """Positions among the state variables of those that are measured."""
        return [index for pair in self._moments for index in pair]

    def blank(self, state: Sequence[np.ndarray]) -> list[np.ndarray]:
        """A state with zeros where it is measured: `0 * NaN` of an old one would stay NaN."""
        measured = set(self.variables)
        return [np.zeros_like(a) if i in measured else a for i, a in enumerate(state)]

    def initial(self, num_points: int) -> list[np.ndarray]:
        """Empty accumulators of some points, each of shape `(num_points, ...)`."""
        arrays = [np.zeros(num_points)]
        for index in self.variables:
            arrays.append(np.zeros((num_points, *self.space.state_variables[index].shape)))
        return arrays

    def update(self, accumulators: Sequence[Any], new_state: Sequence[Any], size: Any) -> list[Any]:
        """The accumulators of one point after a batch of `size` examples, in tensors."""
        before, size = accumulators[0], tf.cast(size, "float64")
        total = before + size
        updated = [total]
        for k, (mean_at, variance_at) in enumerate(self._moments):
            mean, squares = accumulators[1 + 2 * k], accumulators[2 + 2 * k]
            shift = tf.cast(new_state[mean_at], "float64") - mean
            within = size * tf.cast(new_state[variance_at], "float64")
            updated.append(mean + shift * size / total)
            updated.append(squares + within + tf.square(shift) * before * size / total)
        return updated

    def results(
        self, accumulators: Sequence[np.ndarray], state: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """`state` with the pooled moments in it; all arrays have a leading axis of points."""
        result = list(state)
        total = accumulators[0]
        for k, (mean_at, variance_at) in enumerate(self._moments):
            mean, squares = accumulators[1 + 2 * k], accumulators[2 + 2 * k]
            variance = squares / total.reshape(-1, *[1] * (squares.ndim - 1))
            result[mean_at] = mean.astype(result[mean_at].dtype)
            result[variance_at] = variance.astype(result[variance_at].dtype)
        return result


class BatchNormEstimator:
    """Measures the statistics of every batch-norm layer at any number of points, one by one.

    Args:
        model: Model of the architecture. Not changed.
        x: Inputs, shape `(N, ...)`, or a list or mapping of them, normally those of the training
            split.
        batch_size: Examples in a batch, see `BatchStatistics`. Larger batches are nearer to the
            population statistics that the layers above would see.
    """

    def __init__(self, model: keras.Model, x: Any, *, batch_size: int = BATCH_SIZE):
        self._statistics = BatchStatistics(model)
        self._x = x
        self._batch_size = batch_size
        # Partial: TensorFlow counts traces by code, and would warn of the fifth estimator.
        step = functools.partial(_add_batch, self._statistics)
        self._step = tf.function(step, reduce_retracing=True)

    def __call__(self, point: Sequence[Any], state: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The state at `point`: measured where it is batch-norm statistics, else as in `state`."""
        if not self._statistics.variables:
            return list(state)
        accumulators = [tf.constant(a[0]) for a in self._statistics.initial(1)]
        weights = [tf.convert_to_tensor(w) for w in point]
        blank = [tf.convert_to_tensor(s) for s in self._statistics.blank(state)]
        count = len(keras.tree.flatten(self._x)[0])
        for start in range(0, count, self._batch_size):
            rows = slice(start, start + self._batch_size)
            batch = keras.tree.map_structure(lambda array, rows=rows: array[rows], self._x)
            accumulators = self._step(weights, blank, accumulators, batch)
        with_axis = [a.numpy()[None] for a in accumulators], [a[None] for a in state]
        results = [a[0] for a in self._statistics.results(*with_axis)]
        if not all(np.isfinite(results[i]).all() for i in self._statistics.variables):
            for array in keras.tree.flatten(self._x):
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ValueError(
                        "The inputs hold NaN or infinite values, and so do the batch-norm "
                        "statistics: remove those examples."
                    )
        return results


def _add_batch(
    statistics: BatchStatistics, point: Any, state: Any, accumulators: Any, x: Any
) -> list[Any]:
    space = statistics.space
    _, new = space.at(point, lambda: space.model(x, training=False), state=state)
    size = tf.shape(keras.tree.flatten(x)[0])[0]
    return statistics.update(accumulators, new, size)


def estimate_batch_norm(
    space: WeightSpace,
    point: Sequence[Any],
    x: Any,
    *,
    state: Sequence[np.ndarray] | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[np.ndarray]:
    """State of a network at one point, its batch-norm statistics measured on `x`.

    Args:
        space: Weight space of a model of the architecture. Not changed.
        point: Arrays aligned with `space.variables`.
        x: As for `BatchNormEstimator`.
        state: Arrays aligned with `space.state_variables`, for what is not batch norm; the
            model's own if not given.
        batch_size: See `BatchNormEstimator`.
    """
    state = space.read_state() if state is None else state
    return BatchNormEstimator(space.model, x, batch_size=batch_size)(point, state)


def has_batch_norm(model: keras.Layer) -> bool:
    """Whether a model has batch-norm layers whose statistics training would move."""
    return next(_norm_layers(model), None) is not None


def is_measured_again(model: keras.Layer, mode: str) -> bool:
    """Whether batch-norm statistics are to be measured between the ends of a path.

    Args:
        model: Network of the path.
        mode: `"reestimate"` asks for it, `"interpolate"` is content with those of the ends.

    Raises:
        ValueError: If there is no such mode.
    """
    if mode not in ("reestimate", "interpolate"):
        raise ValueError(f"There is no batch_norm={mode!r}; use 'reestimate' or 'interpolate'.")
    return mode == "reestimate" and has_batch_norm(model)


def measured_variables(space: WeightSpace) -> list[int]:
    """Positions among the state variables of batch-norm statistics that are measured."""
    return [index for pair in _moments(space) for index in pair]


def _moments(space: WeightSpace) -> list[tuple[int, int]]:
    """Positions of mean and variance of each batch-norm layer."""
    position = {id(v): i for i, v in enumerate(space.state_variables)}
    return [
        (position[id(layer.moving_mean)], position[id(layer.moving_variance)])
        for layer in _norm_layers(space.model)
    ]


def _norm_layers(model: keras.Layer) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def _use_batch_statistics(layer: Any) -> None:
    """Make a private copy's layer normalise by the batch and hand out its moments as they are.

    A layer that is called several times hands out the mean over its calls, which is what its moving
    averages tend to in training.
    """
    layer.renorm = False
    call = layer.call
    calls, latest = 0, None

    def with_batch_statistics(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        nonlocal calls, latest
        # What the call before left is there only within one pass through the network.
        calls = calls + 1 if layer.moving_mean.value is latest else 0
        layer.momentum = calls / (calls + 1)
        outputs = call(inputs, training=True, mask=mask)
        latest = layer.moving_mean.value
        return outputs

    layer.call = with_batch_statistics
