"""Flows there and back, and the training of many networks in one program."""

from collections.abc import Callable
from typing import Any

from mc_keras.tools.benchmarks.common import Settings, load, networks, timed

# Weights of a unit of fc_mnist and of fc_cifar10.
_SIZES = (795, 3083)
_ROWS = 2000
# The way back of an autoregressive flow takes as many steps as there are coordinates.
_SLOW_ROWS = 10
_NETWORKS = 4
_STEPS = 20


def flows(settings: Settings) -> dict[str, Any]:
    """Seconds of each flow, and of training steps of networks at once and one by one."""
    return {"maps": _maps(settings), "training": _training(settings)}


def _maps(settings: Settings) -> dict[str, Any]:
    """The flows of the zoo's recipes, at the units of one network."""
    import numpy as np
    import tensorflow as tf

    from mc_keras.flows import InverseAutoregressiveFlow, RealNVP

    kinds: dict[str, Callable[[int], Any]] = {
        "RealNVP": lambda size: RealNVP(size, num_blocks=6, hidden=(128, 128)),
        "IAF": lambda size: InverseAutoregressiveFlow(size, num_blocks=2, hidden=(128,)),
    }
    figures = {}
    for kind, build in kinds.items():
        for size in _SIZES:
            flow = build(size)
            count = min(_ROWS, settings.examples or _ROWS)
            back = min(count, _SLOW_ROWS) if kind == "IAF" else count
            rows = np.random.default_rng(0).normal(size=(count, size)).astype("float32")
            forward_s, latents = _compiled(flow.forward, tf.constant(rows))
            inverse_s, _ = _compiled(flow.inverse, latents[:back])
            figures[f"{kind} {size}"] = {
                "rows": count,
                "forward_s": forward_s,
                "inverse_rows": back,
                "inverse_s": inverse_s,
            }
            print(
                f"{kind} of {size} weights: {forward_s:.3f} s for {count} rows, back "
                f"{inverse_s:.3f} s for {back} rows",
                flush=True,
            )
    return figures


def _compiled(function: Callable[[Any], Any], x: Any) -> tuple[float, Any]:
    """Seconds and result of a function as a TensorFlow graph, the making of the graph left out."""
    import tensorflow as tf

    graph = tf.function(function, input_signature=[tf.TensorSpec((None, x.shape[1]))])
    graph(x[:1])
    return timed(lambda: graph(x).numpy())


def _training(settings: Settings) -> dict[str, Any]:
    """Steps of networks in one program, and of the same networks one after the other."""
    from mc_keras.batches import Batches
    from mc_keras.zoo.recipes import get_recipe
    from mc_keras.zoo.stacked import Stack, StackedBatches
    from mc_keras.zoo.training import compile_model

    recipe = get_recipe("fc_mnist")
    x, y = load(recipe.name, _STEPS * recipe.batch_size, 1, settings)["train"]
    alone = networks(recipe.name)[0]
    stack = Stack(alone, range(_NETWORKS))
    members = [Batches(x, y, batch_size=recipe.batch_size, seed=i) for i in range(_NETWORKS)]
    together = StackedBatches(members)
    compile_model(alone, recipe, _STEPS)
    compile_model(stack.model, recipe, _STEPS, loss_weights=[float(_NETWORKS)])

    def fit(model: Any, batches: Any) -> None:
        model.fit(batches, shuffle=False, verbose=0)

    fit(alone, members[0])  # compiles
    fit(stack.model, together)
    seconds = timed(lambda: fit(stack.model, together))[0]
    one_by_one = sum(timed(lambda batches=batches: fit(alone, batches))[0] for batches in members)
    print(
        f"{len(together)} steps of {_NETWORKS} {recipe.name} networks: {seconds:.2f} s in one "
        f"program, {one_by_one:.2f} s one after the other, {one_by_one / seconds:.1f} times",
        flush=True,
    )
    return {"seconds": seconds, "one_by_one_s": one_by_one, "ratio": one_by_one / seconds}


PARTS: dict[str, Callable[[Settings], dict[str, Any]]] = {"flows": flows}
