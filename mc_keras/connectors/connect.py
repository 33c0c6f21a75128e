"""`connect`: from two trained models to a path, by any method."""

import difflib
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mc_keras.adjustment import Solutions
from mc_keras.architecture import check_same_architecture, describe_network, structure
from mc_keras.checkpoint import Checkpoint
from mc_keras.cloning import clone
from mc_keras.connectors.arc import Arc
from mc_keras.connectors.base import Connector, Job
from mc_keras.connectors.best import Best
from mc_keras.connectors.butterfly import Butterfly
from mc_keras.connectors.curve_fitting import CurveFitting
from mc_keras.connectors.learned import LearnedConnection
from mc_keras.connectors.linear import Linear
from mc_keras.connectors.optimal_transport import OptimalTransport
from mc_keras.connectors.repair import Repair
from mc_keras.connectors.slerp import Slerp
from mc_keras.connectors.weight_adjustment import WeightAdjustment
from mc_keras.data import check_data, training_data
from mc_keras.paths import Bezier, Path, PolygonalChain
from mc_keras.provenance import versions
from mc_keras.storage import PathLike, fingerprint
from mc_keras.weight_space import WeightSpace, check_finite

_NAMES: dict[str, Callable[[], Connector]] = {
    "linear": Linear,
    "arc": Arc,
    "slerp": Slerp,
    "bezier": lambda: CurveFitting(curve=Bezier(num_control_points=3)),
    "alignment": lambda: OptimalTransport(end="permuted"),
    "activation_alignment": lambda: OptimalTransport(end="permuted", match="activations"),
    "ot": OptimalTransport,
    "ot+repair": lambda: OptimalTransport(along=Repair()),
    "linear+bfly": Butterfly,
    "arc+bfly": lambda: Butterfly(Arc()),
    "ot+bfly": lambda: Butterfly(OptimalTransport()),
    "linear+wa": WeightAdjustment,
    "arc+wa": lambda: WeightAdjustment(Arc()),
    # Of units that are lined up 5 breakpoints are as good as 9.
    "ot+wa": lambda: WeightAdjustment(OptimalTransport(), num_breakpoints=5),
    "best": Best,
    "polychain": lambda: CurveFitting(curve=PolygonalChain(num_control_points=3)),
    "rnvp_bijection": lambda: LearnedConnection(model="rnvp_bijection"),
    "rnvp_bijection+wa": lambda: WeightAdjustment(LearnedConnection()),
    "rnvp_flow": lambda: LearnedConnection(model="rnvp_flow"),
    "iaf_flow": lambda: LearnedConnection(model="iaf_flow"),
}


def names() -> list[str]:
    """Names of all methods, which `connect` takes for connectors with their default options."""
    return list(_NAMES)


def by_name(name: str) -> Connector:
    """The connector that a name is a shorthand for.

    Raises:
        ValueError: If there is no such method; the nearest name is suggested.
    """
    if name not in _NAMES:
        close = difflib.get_close_matches(name.lower(), _NAMES, n=1, cutoff=0.4)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ValueError(f"There is no method '{name}': {hint}The methods are {', '.join(_NAMES)}.")
    return _NAMES[name]()


def connect(
    start: keras.Model,
    end: keras.Model,
    method: str | Connector = "linear",
    data: Any = None,
    *,
    seed: int = 0,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> Path:
    """Find a path of weights from one trained model to another.

    Args:
        start: Trained Keras model, Sequential or Functional; the path's point at `t = 0`. Not
            changed.
        end: Trained model of the same architecture; the point at `t = 1`. Not changed.
        method: Name of a method, see `mc.connectors.names()`, or a connector with options of its
            own, such as `mc.connectors.Arc(mean="none")`.
        data: Training data for the methods that need it: `(x, y)`, a `tf.data.Dataset`, or splits
            by name of which "train" is taken.
        seed: Seed of everything random.
        checkpoint: File in which methods that solve layer after layer keep what they have solved,
            and trained curves their last epoch. Killed at any moment and called again with the same
            arguments, they go on after that, or a few seconds before. The file stays when all is
            done.
        verbose: 0 silent, 1 progress.

    Returns:
        The path; `path(0)` and `path(1)` are the weights of `start` and `end`, bit for bit
        (unless an option of the connector says that it ends at a reordering of `end`).

    Raises:
        TypeError: If a model is not a Keras model, or cannot be rebuilt from its configuration.
        ValueError: If the models differ in architecture, are not built or hold NaN, the method does
            not exist, the data are missing or do not fit, or the path is not finite.

    Example:

    >>> path = connect(a, b, method="arc")  # doctest: +SKIP
    >>> middle = path.model(0.5)  # doctest: +SKIP
    """
    for name, model in (("start", start), ("end", end)):
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"The {name} must be a Keras model, received {type(model).__name__}; load it with "
                "keras.saving.load_model first."
            )
    connector = by_name(method) if isinstance(method, str) else method
    if not isinstance(connector, Connector):
        raise TypeError(
            "The method must be a name or a connector object such as mc.connectors.Arc(), received "
            f"{type(method).__name__}."
        )
    check_same_architecture(start, end)
    a, b = WeightSpace(start).read(), WeightSpace(end).read()
    space = WeightSpace(clone(start))
    check_finite(a, space, "start")
    check_finite(b, space, "end")
    if connector.needs_data or (connector.uses_data and data is not None):
        data = training_data(data)
        check_data(start, *data)
    else:
        data = None
    began = time.perf_counter()
    networks = {"start": describe_network(start), "end": describe_network(end)}
    origin = {
        "connector": {"class": type(connector).__name__, **connector.get_config()},
        "seed": seed,
        **networks,
        "data": None if data is None else {"sha256": fingerprint(data), "examples": len(data[0])},
        "versions": versions(),
    }
    kept = None
    if checkpoint is not None:
        # Keras numbers the names of models: the same one that is built again has another.
        digests = {role: network["sha256"] for role, network in networks.items()}
        run = {**origin, **digests, "architecture": structure(start)}
        kept = Checkpoint(checkpoint, json.loads(json.dumps(run, default=repr)), "construction")
    job = Job(seed, verbose, Solutions(kept), kept)
    path = connector.connect(space, start, end, data, job)
    seconds = time.perf_counter() - began + (kept.seconds_before if kept else 0.0)
    path.method = connector.name
    path.provenance = {**origin, "seconds": round(seconds, 3)}
    if job.chosen:
        path.provenance["chosen"] = job.chosen
    ends = ((0.0, a), (1.0, b)) if connector.reaches_end else ((0.0, a),)
    for t, expected in ends:
        if not all(np.array_equal(v, w) for v, w in zip(path(t), expected, strict=True)):
            raise RuntimeError(
                f"The method '{connector.name}' returned a path whose point at t={t} is not the "
                "model given; this is an error of the method, not of its input."
            )
    _check_inside(path, connector)
    return path


def _check_inside(path: Path, connector: Connector) -> None:
    """Raise ValueError where the path is not finite, at a few positions."""
    for t in (0.25, 0.5, 0.75):
        for array, variable in zip(path(t), path.variables, strict=True):
            if not np.isfinite(array).all():
                raise ValueError(
                    f"The path of the method '{connector.name}' holds NaN or infinite values at "
                    f"t={t}, in '{variable.path}': its training diverged, or activations "
                    "overflow; take a smaller learning rate, or scale the inputs."
                )
