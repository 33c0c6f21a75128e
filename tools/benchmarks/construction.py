"""How paths are made: unit groups, matching, weight adjustment, whole paths."""

from collections.abc import Callable
from typing import Any

from mc_keras.tools.benchmarks.common import Settings, load, networks, peak_of, timed


def units(settings: Settings) -> dict[str, Any]:
    """Unit groups of ResNet50."""
    del settings
    import keras

    import mc_keras as mc

    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    seconds = min(timed(lambda: mc.unit_groups(model))[0] for _ in range(3))
    print(f"unit groups of ResNet50: {seconds:.2f} s")
    return {"resnet50_s": seconds}


def matching(settings: Settings) -> dict[str, Any]:
    """Assignment of units, optimality certified, against `ot.emd` on the same costs."""
    import numpy as np
    import ot

    from mc_keras.units import assign, butterfly_costs, unit_groups
    from mc_keras.weight_space import WeightSpace

    del settings
    figures = {}
    for recipe in ("fc_cifar10", "fc3_cifar10"):
        start, end = networks(recipe)
        group = unit_groups(start)[0]
        costs = butterfly_costs(group, WeightSpace(start).read(), WeightSpace(end).read())
        weights = np.full(group.size, 1 / group.size)
        ours, found = timed(lambda costs=costs: assign(costs))
        other, plan = timed(lambda w=weights, c=costs: ot.emd(w, w, c / c.max(), numItermax=10**8))
        excess = costs[np.arange(group.size), found].sum() / (plan * costs).sum() / group.size - 1
        figures[str(group.size)] = _pair(
            f"matching of {group.size} units (ot.emd; cost {excess:+.0e} of its)", ours, other
        ) | {"excess": excess}
    return figures


def adjustment(settings: Settings) -> dict[str, Any]:
    """The output layer behind 2000 units at one t, against `numpy.linalg.pinv`, and at 21."""
    import numpy as np

    import mc_keras as mc
    from mc_keras.adjustment import NormalEquations

    start, end = networks("fc_cifar10")
    data = load("fc_cifar10", 50_000, 1, settings)
    x, y = data["train"]
    before = mc.connect(start, end).model(0.5)
    hidden = before.layers[-2].output
    import keras

    features = keras.Model(before.input, hidden).predict(x, batch_size=1000, verbose=0)
    rows = np.concatenate([features, np.ones((len(features), 1), "float32")], axis=1)
    goal = start.predict(x, batch_size=1000, verbose=0)
    prior = np.zeros((rows.shape[1], goal.shape[1]))

    def solve(ridge: float) -> Any:
        equations = NormalEquations(prior, ridge)
        equations.add(rows, goal)
        return equations.solve()

    ours, ridged = timed(lambda: solve(1e-4))
    exact = solve(0.0)
    other, expected = timed(lambda: np.linalg.pinv(rows.astype("float64")) @ goal)
    scale = np.abs(rows @ expected).max()
    difference = float(np.abs(rows @ (exact - expected)).max() / scale)
    del ridged, exact, expected
    what = f"weight adjustment of {rows.shape[1]} by {len(rows)}"
    figures: dict[str, Any] = {
        "one": _pair(f"{what} at one t (pinv)", ours, other)
        | {
            "difference": difference,
            "peak_gb": peak_of(lambda: solve(1e-4)),
            "pinv_peak_gb": peak_of(lambda: np.linalg.pinv(rows.astype("float64")) @ goal),
        }
    }
    print(
        f"  outputs differ by {difference:.0e} of the largest without a ridge; peak memory "
        f"{figures['one']['peak_gb']:.2f} against {figures['one']['pinv_peak_gb']:.2f} GB"
    )
    connector = mc.connectors.WeightAdjustment(num_breakpoints=21)
    ours, _ = timed(lambda: mc.connect(start, end, connector, (x, y)))
    figures["all"] = _pair(f"{what} at 20 t, features included (20 times pinv)", ours, 20 * other)
    peak = peak_of(lambda: mc.connect(start, end, connector, (x, y)))
    figures["all"]["peak_gb"] = peak
    print(f"  peak memory {peak:.2f} GB")
    return figures


def paths(settings: Settings) -> dict[str, Any]:
    """Whole paths, built and evaluated, against one plain evaluation."""
    import keras

    import mc_keras as mc

    figures = {}
    for recipe, method in (
        ("fc_cifar10", "linear+wa"),
        ("fc_cifar10", "ot+wa"),
        ("fc3_cifar10", "ot+wa"),
    ):
        start, end = networks(recipe)
        data = load(recipe, 50_000, 10_000, settings)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        start.compile(loss=loss, metrics=["accuracy"])

        def plain(model: Any = start, data: Any = data) -> None:
            for x, y in data.values():
                model.evaluate(x, y, batch_size=1000, verbose=0)

        def whole(ends: Any = (start, end), method: str = method, data: Any = data) -> None:
            path = mc.connect(*ends, method, data)
            mc.evaluate_path(path, data, 21, verbose=0)

        plain()
        one = timed(plain)[0]
        seconds = timed(whole)[0]
        print(
            f"{recipe}, {method}, built and evaluated at 21 points: {seconds:.1f} s, "
            f"{seconds / one:.1f} times one evaluation ({one:.1f} s)",
            flush=True,
        )
        figures[f"{recipe} {method}"] = {"seconds": seconds, "evaluation_s": one}
    return figures


def _pair(what: str, ours: float, other: float) -> dict[str, Any]:
    print(f"{what}: {ours:.2f} s against {other:.2f} s, {other / ours:.1f} times", flush=True)
    return {"seconds": ours, "other_s": other, "ratio": other / ours}


PARTS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "units": units,
    "matching": matching,
    "adjustment": adjustment,
    "paths": paths,
}
