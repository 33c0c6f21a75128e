"""Networks, data and clocks of the benchmarks."""

import dataclasses
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """The flags of the program; see their help."""

    cases: Sequence[str]
    method: str
    points: int | None
    examples: int | None
    plain_points: int
    data_dir: str | None
    random_data: bool


def networks(recipe_name: str) -> list[Any]:
    """Two networks of a recipe's architecture, not trained."""
    import keras

    from mc_keras.zoo import architectures
    from mc_keras.zoo.recipes import get_recipe

    recipe = get_recipe(recipe_name)
    models = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        models.append(
            architectures.build(recipe.architecture, _shape(recipe.dataset), 10, **recipe.config)
        )
    return models


def load(recipe_name: str, train: int, test: int, settings: Settings) -> dict[str, Any]:
    """The first examples of both splits of a recipe's data set."""
    import numpy as np

    import mc_keras as mc
    from mc_keras.zoo.recipes import get_recipe

    name = get_recipe(recipe_name).dataset
    sizes = [min(n, settings.examples or n) for n in (train, test)]
    if settings.random_data:
        generator = np.random.default_rng(0)
        splits = [
            (generator.integers(0, 256, (n, *_shape(name)), "uint8"), generator.integers(0, 10, n))
            for n in sizes
        ]
    else:
        splits = mc.zoo.load_data(name, data_dir=settings.data_dir)
    names = ("train", "test")
    return {k: (x[:n], y[:n]) for k, (x, y), n in zip(names, splits, sizes, strict=True)}


def timed(compute: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what was computed."""
    began = time.perf_counter()
    result = compute()
    return time.perf_counter() - began, result


def peak_of(compute: Callable[[], Any]) -> float:
    """Most memory of Python and NumPy that a computation held beside what was there, in GB."""
    tracemalloc.start()
    try:
        compute()
        return tracemalloc.get_traced_memory()[1] / 1e9
    finally:
        tracemalloc.stop()


def _shape(dataset: str) -> tuple[int, int, int]:
    return (28, 28, 1) if dataset == "mnist" else (32, 32, 3)
