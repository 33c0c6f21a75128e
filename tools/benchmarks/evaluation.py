"""The evaluation engine against the plain loop.

The plain loop puts the weights of each point into a Keras model and calls `evaluate` on the
training and the test split, at the batch size that is the faster for it, its compilation not
counted; in networks with batch normalisation it re-estimates the statistics at each point first.
It is timed at a few points and scaled to all of them. The engine, mc.evaluate_path, is timed once
for all points, its compilation and preparation of the data counted. The share is that of this
machine's rate of matrix products, measured in the same run, which the arithmetic that each of the
two carries out would need at that rate.
"""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mc_keras.tools.benchmarks.common import Settings, load, networks, timed

if TYPE_CHECKING:
    import keras


class Case(NamedTuple):
    """A network, its data and at how many points and examples of each split it is measured."""

    recipe: str
    points: int
    train: int
    test: int


CASES = {
    "fc_mnist": Case("fc_mnist", 61, 60_000, 10_000),
    "fc_cifar10": Case("fc_cifar10", 61, 50_000, 10_000),
    "conv2fc1_cifar10": Case("conv2fc1_cifar10", 9, 4_000, 1_000),
    "resnet20_cifar10": Case("resnet20_cifar10", 15, 2_000, 500),
}

_PLAIN_BATCH_SIZES = (128, 1000)
_COLUMNS = ("plain_s", "engine_s", "ratio", "plain_share", "engine_share", "difference")


def run(settings: Settings) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    rate = matrix_product_rate()
    print(f"matrix products: {rate / 1e9:.0f} GFLOP/s; method: {settings.method}")
    print(f"{'':18}{'points':>8}" + "".join(f"{name:>14}" for name in _COLUMNS))
    figures = {}
    for name in settings.cases:
        figures[name] = measure(CASES[name], rate, settings)
        row = "".join(f"{figures[name][column]:14.4g}" for column in _COLUMNS)
        print(f"{name:18}{figures[name]['points']:8d}{row}", flush=True)
    print(
        f"plain_s is scaled from {settings.plain_points} points; difference is the largest of "
        "losses and accuracies at them."
    )
    return {"rate": rate, "method": settings.method, "cases": figures}


def matrix_product_rate() -> float:
    """Floating-point operations per second of large float32 matrix products, best of several."""
    import tensorflow as tf

    a, b = tf.random.normal((4096, 3072)), tf.random.normal((3072, 2048))
    seconds = [timed(lambda: tf.reduce_sum(tf.matmul(a, b)).numpy())[0] for _ in range(6)]
    return 2 * 4096 * 3072 * 2048 / min(seconds)


def measure(case: Case, rate: float, settings: Settings) -> dict[str, Any]:
    """Seconds of the plain loop and of the engine, and what follows, for one case."""
    import mc_keras as mc

    start, end = networks(case.recipe)
    data = load(case.recipe, case.train, case.test, settings)
    points = settings.points or case.points
    path = mc.connect(start, end, settings.method, data=data)
    engine_s, report = timed(lambda: mc.evaluate_path(path, data, points, verbose=0))
    count = settings.plain_points
    chosen = [round(i * (points - 1) / count) for i in range(count)]
    plain_s, difference = _plain_loop(path, data, report, chosen)
    plain_s *= points / len(chosen)
    examples = sum(len(y) for _, y in data.values())
    first, rest = flops(start)
    # A line or an arc has two full control points: two products of the first dense layer in all.
    shared = 2 if _first_is_dense(start) else points
    return {
        "points": points,
        "examples": examples,
        "plain_s": plain_s,
        "engine_s": engine_s,
        "ratio": plain_s / engine_s,
        "plain_share": points * (first + rest) * examples / plain_s / rate,
        "engine_share": (shared * first + points * rest) * examples / engine_s / rate,
        "difference": difference,
    }


def flops(model: "keras.Model") -> tuple[float, float]:
    """Operations for one example in the products of the first weighted layer, and of the others."""
    counts = []
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            places = 1
            for size in layer.output.shape[1:-1]:
                places *= size
            counts.append(2.0 * float(_product(kernel.shape)) * places)
    return counts[0], sum(counts[1:])


def _plain_loop(
    path: Any, data: dict[str, Any], report: Any, chosen: list[int]
) -> tuple[float, float]:
    """Seconds at the chosen points, and the largest difference from the report there."""
    from mc_keras.batch_norm import BatchNormEstimator
    from mc_keras.tasks import infer_accuracy, infer_loss
    from mc_keras.weight_space import WeightSpace

    x, y = data["train"]
    model = path.model(0.0)
    model.compile(loss=infer_loss(model, y), metrics=[infer_accuracy(model, y)])
    space = WeightSpace(model)
    estimate = BatchNormEstimator(model, x)
    estimate(path(0.0), path.state(0.0))

    def at(t: float, batch_size: int) -> dict[str, float]:
        point = path(t)
        space.write(point, estimate(point, path.state(t)))
        found: dict[str, float] = {}
        for split, (inputs, targets) in data.items():
            results = model.evaluate(inputs, targets, batch_size=batch_size, verbose=0)
            found |= {f"{split}_loss": results[0], f"{split}_accuracy": results[1]}
        return found

    times = {}
    for size in _PLAIN_BATCH_SIZES:
        model.evaluate(x[:size], y[:size], batch_size=size, verbose=0)
        times[size] = timed(functools.partial(at, 0.5, size))[0]
    best = min(times, key=lambda size: times[size])
    seconds, difference = 0.0, 0.0
    for i in chosen:
        elapsed, found = timed(functools.partial(at, float(report.t[i]), best))
        seconds += elapsed
        difference = max(difference, *(abs(v - report[name][i]) for name, v in found.items()))
    return seconds, difference


def _first_is_dense(model: "keras.Model") -> bool:
    first = next(layer for layer in model.layers if getattr(layer, "kernel", None) is not None)
    return len(first.kernel.shape) == 2


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
