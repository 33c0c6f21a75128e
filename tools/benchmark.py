"""Measure the evaluation engine against the plain loop, both in one run.

    mc-benchmark
    mc-benchmark --cases=fc_cifar10 --method=arc --output=benchmark.json

The plain loop puts the weights of each point into a Keras model and calls `evaluate` on the
training and the test split, at the batch size that is the faster for it, its compilation not
counted; in networks with batch normalisation it re-estimates the statistics at each point first.
It is timed at a few points and scaled to all of them. The engine, mc.evaluate_path, is timed once
for all points, its compilation and preparation of the data counted. The share is that of this
machine's rate of matrix products, measured in the same run, which the arithmetic that each of the
two carries out would need at that rate.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from mc_keras.tools import program

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

_CASES = flags.DEFINE_list("cases", list(CASES), "Which of the networks to measure.")
_METHOD = flags.DEFINE_string("method", "linear", "Method of the path.")
_POINTS = flags.DEFINE_integer("points", None, "Points instead of each case's.", lower_bound=2)
_EXAMPLES = flags.DEFINE_integer(
    "examples", None, "Most examples of a split instead of each case's.", lower_bound=1
)
_PLAIN_POINTS = flags.DEFINE_integer(
    "plain_points", 3, "Points at which the plain loop is timed.", lower_bound=1
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of TFDS data sets.")
_RANDOM_DATA = flags.DEFINE_boolean(
    "random_data", default=False, help="Random pixels and labels instead of the data sets."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the figures to.")

_PLAIN_BATCH_SIZES = (128, 1000)
_COLUMNS = ("plain_s", "engine_s", "ratio", "plain_share", "engine_share", "difference")


def main(argv: Sequence[str]) -> None:
    del argv
    unknown = [name for name in _CASES.value if name not in CASES]
    if unknown:
        raise ValueError(f"There is no case '{unknown[0]}'; the cases are {', '.join(CASES)}.")
    from mc_keras.provenance import versions
    from mc_keras.storage import write_json

    rate = matrix_product_rate()
    print(f"matrix products: {rate / 1e9:.0f} GFLOP/s; method: {_METHOD.value}")
    print(f"{'':18}{'points':>8}" + "".join(f"{name:>14}" for name in _COLUMNS))
    figures = {}
    for name in _CASES.value:
        figures[name] = measure(CASES[name], rate)
        row = "".join(f"{figures[name][column]:14.4g}" for column in _COLUMNS)
        print(f"{name:18}{figures[name]['points']:8d}{row}", flush=True)
    print(
        f"plain_s is scaled from {_PLAIN_POINTS.value} points; difference is the largest of losses "
        "and accuracies at them."
    )
    if _OUTPUT.value is not None:
        record = {"rate": rate, "method": _METHOD.value, "cases": figures, "versions": versions()}
        write_json(_OUTPUT.value, record)


def matrix_product_rate() -> float:
    """Floating-point operations per second of large float32 matrix products, best of several."""
    import tensorflow as tf

    a, b = tf.random.normal((4096, 3072)), tf.random.normal((3072, 2048))
    seconds = [_timed(lambda: tf.reduce_sum(tf.matmul(a, b)).numpy())[0] for _ in range(6)]
    return 2 * 4096 * 3072 * 2048 / min(seconds)


def measure(case: Case, rate: float) -> dict[str, Any]:
    """Seconds of the plain loop and of the engine, and what follows, for one case."""
    import mc_keras as mc

    start, end = _networks(case)
    data = _data(case)
    points = _POINTS.value or case.points
    path = mc.connect(start, end, _METHOD.value, data=data)
    engine_s, report = _timed(lambda: mc.evaluate_path(path, data, points, verbose=0))
    chosen = [round(i * (points - 1) / _PLAIN_POINTS.value) for i in range(_PLAIN_POINTS.value)]
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
        times[size] = _timed(functools.partial(at, 0.5, size))[0]
    best = min(times, key=lambda size: times[size])
    seconds, difference = 0.0, 0.0
    for i in chosen:
        elapsed, found = _timed(functools.partial(at, float(report.t[i]), best))
        seconds += elapsed
        difference = max(difference, *(abs(v - report[name][i]) for name, v in found.items()))
    return seconds, difference


def _networks(case: Case) -> list[Any]:
    import keras

    from mc_keras.zoo import architectures
    from mc_keras.zoo.recipes import get_recipe

    recipe = get_recipe(case.recipe)
    shape = (28, 28, 1) if recipe.dataset == "mnist" else (32, 32, 3)
    models = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        models.append(architectures.build(recipe.architecture, shape, 10, **recipe.config))
    return models


def _data(case: Case) -> dict[str, Any]:
    import numpy as np

    import mc_keras as mc
    from mc_keras.zoo.recipes import get_recipe

    name = get_recipe(case.recipe).dataset
    sizes = [min(n, _EXAMPLES.value or n) for n in (case.train, case.test)]
    if _RANDOM_DATA.value:
        generator = np.random.default_rng(0)
        shape = (28, 28, 1) if name == "mnist" else (32, 32, 3)
        splits = [
            (generator.integers(0, 256, (n, *shape), "uint8"), generator.integers(0, 10, n))
            for n in sizes
        ]
    else:
        splits = mc.zoo.load_data(name, data_dir=_DATA_DIR.value)
    names = ("train", "test")
    return {k: (x[:n], y[:n]) for k, (x, y), n in zip(names, splits, sizes, strict=True)}


def _first_is_dense(model: "keras.Model") -> bool:
    first = next(layer for layer in model.layers if getattr(layer, "kernel", None) is not None)
    return len(first.kernel.shape) == 2


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _timed(compute: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = compute()
    return time.perf_counter() - began, result


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
