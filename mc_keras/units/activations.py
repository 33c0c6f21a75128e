"""Correlations between the activations of two networks' hidden units."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.progress import ProgressBar
from mc_keras.units.graph import called, interpret
from mc_keras.units.search import Reading, readings

_BATCH = 250


def correlations(
    start: keras.Model, end: keras.Model, x: NDArray, *, verbose: int = 0
) -> list[NDArray | None]:
    """Correlation of each unit of `start` with each unit of `end`, group by group.

    The activations are those that the next layers read, at all positions in space and time; the
    two networks see the same examples in the same order. A group that several layers read, such
    as a residual stream, gives the mean over these. Where the units of another group lie along
    another axis of what is read, the order of which may differ between the networks, the mean over
    that axis is taken. A unit that never changes has correlation 0.

    Args:
        start: A Sequential or Functional model.
        end: A model of the same architecture.
        x: Inputs of shape `(N, ...)`.
        verbose: 0 silent, 1 progress.

    Returns:
        For each of `unit_groups(start)` an array of shape `(size, size)`, rows for `start`, in
        float64; `None` where the graph shows no activations of the group, as for the heads inside
        an attention layer.

    Raises:
        ValueError: If `x` is not a batch of inputs of the models, or activations are not finite.
    """
    _check_inputs(start, x)
    wanted = [readings(start), readings(end)]
    moments: list[list[_Moments]] = [[_Moments() for _ in group] for group in wanted[0]]
    for batch in _batches(x, verbose):
        features = [
            _features(model, batch, groups, ordered=False)
            for model, groups in zip((start, end), wanted, strict=True)
        ]
        for group, *pairs in zip(moments, *features, strict=True):
            for moment, first, second in zip(group, *pairs, strict=True):
                moment.add(first, second)
    return [
        np.mean([moment.correlation() for moment in group], axis=0) if group else None
        for group in moments
    ]


def second_moments(model: keras.Model, x: NDArray, *, verbose: int = 0) -> list[NDArray | None]:
    """Mean products `E[h[u] * h[v]]` of the activations of the units, group by group.

    See `correlations` for which activations; those of several layers that read a group are added.

    Args:
        model: A Sequential or Functional model.
        x: Inputs of shape `(N, ...)`.
        verbose: 0 silent, 1 progress.

    Returns:
        For each of `unit_groups(model)` an array of shape `(size, size)` in float64, or `None`.

    Raises:
        ValueError: If `x` is not a batch of inputs of the model, or activations are not finite.
    """
    _check_inputs(model, x)
    groups = readings(model)
    totals: list[NDArray | None] = [None] * len(groups)
    for batch in _batches(x, verbose):
        for number, features in enumerate(_features(model, batch, groups, ordered=True)):
            for array in features:
                array = array.astype("float64")
                product = array.T @ array * (len(batch) / len(array) / len(x))
                total = totals[number]
                totals[number] = product if total is None else total + product
    return totals


def _check_inputs(model: keras.Model, x: NDArray) -> None:
    expected = [tuple(tensor.shape) for tensor in model.inputs]
    given = np.shape(x) if isinstance(x, np.ndarray) or keras.ops.is_tensor(x) else None
    fits = given is not None and len(expected) == 1 and len(given) == len(expected[0])
    if fits and given is not None:
        fits = given[0] > 0 and all(
            size in (None, own) for size, own in zip(expected[0][1:], given[1:], strict=True)
        )
    if not fits:
        received = f"a {type(x).__name__}" if given is None else f"shape {given}"
        raise ValueError(
            "Activations are taken on one array of at least one example, for models with one "
            f"input: expected shape {expected[0] if len(expected) == 1 else expected}, received "
            f"{received}. Match models with several inputs by weights."
        )


def _batches(x: NDArray, verbose: int) -> Iterator[NDArray]:
    bar = ProgressBar("activations", len(x), verbose=verbose)
    for begin in range(0, len(x), _BATCH):
        batch = x[begin : begin + _BATCH]
        yield batch
        bar.add(len(batch))


class _Moments:
    """Sums over samples of the features of two networks, in float64."""

    def __init__(self) -> None:
        self.count, self.shifts, self.sums = 0, (0.0, 0.0), [0.0] * 5

    def add(self, first: NDArray, second: NDArray) -> None:
        if not self.count:
            self.shifts = first.mean(0), second.mean(0)
        a = np.subtract(first, self.shifts[0], dtype="float64")
        b = np.subtract(second, self.shifts[1], dtype="float64")
        terms = (a.sum(0), b.sum(0), np.sum(a * a, 0), np.sum(b * b, 0), a.T @ b)
        self.sums = [total + term for total, term in zip(self.sums, terms, strict=True)]
        self.count += len(first)

    def correlation(self) -> NDArray:
        a, b, aa, bb, ab = (total / self.count for total in self.sums)
        scales = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in ((aa, a), (bb, b))]
        product = np.outer(*scales)
        # A variance this small is rounding: the unit never changes.
        alive = np.outer(*(s > 1e-7 * np.max(s, initial=0.0) for s in scales))
        centred = ab - np.outer(a, b)
        return np.divide(centred, product, out=np.zeros_like(centred), where=alive & (product > 0))


def _features(
    model: keras.Model, x: NDArray, groups: Sequence[Sequence[Reading]], *, ordered: bool
) -> list[list[NDArray]]:
    """For each reading of each group, the activations as `(samples, units)`.

    All other axes, and the block of each unit, are samples, but for axes along which other units
    lie: if these are not `ordered`, their mean is one sample.
    """
    by_call: dict[int, list[tuple[int, int, Reading]]] = {}
    for g, group in enumerate(groups):
        for r, reading in enumerate(group):
            by_call.setdefault(reading.call, []).append((g, r, reading))
    pieces: dict[tuple[int, int], list[NDArray]] = {}

    def evaluate(op: Any, args: tuple, kwargs: dict, outputs: Sequence, path: str) -> list[Any]:
        here = by_call.get(id(outputs[0]), [])
        for g, r, reading in here:
            given = [v for v in keras.tree.flatten((args, kwargs)) if keras.ops.is_tensor(v)]
            others = {other.axis for *_, other in here if other.argument == reading.argument}
            array = keras.ops.convert_to_numpy(given[reading.argument])
            if not np.isfinite(array).all():
                raise ValueError(
                    f"Activations that the layer '{path}' reads hold NaN or infinity, for inputs "
                    "that it was given: check the data, and that no network's training diverged."
                )
            if not ordered:
                array = array.mean(tuple(others - {reading.axis}), keepdims=True, dtype="float64")
            pieces.setdefault((g, r), []).append(_samples(array, reading))
        return keras.tree.flatten(called(op, args, kwargs))

    interpret(model, [keras.ops.convert_to_tensor(x, dtype=model.inputs[0].dtype)], evaluate)
    return [
        [np.concatenate(pieces[g, r]) for r in range(len(group))] for g, group in enumerate(groups)
    ]


def _samples(array: NDArray, reading: Reading) -> NDArray:
    """Activations `(samples, units)`: all other axes, and the block of each unit, are samples."""
    units = np.moveaxis(array, reading.axis, 0)[reading.positions]
    return units.reshape(len(reading.positions), -1).T
