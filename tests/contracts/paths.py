"""One row for each kind of path: a function that builds it from two small trained networks."""

import keras
import numpy as np

import mc_keras as mc
from mc_keras.cloning import clone
from mc_keras.flows import RealNVP, TransportedPath, pack
from mc_keras.paths import AffinePath, Bezier, PolygonalChain
from mc_keras.paths.files import ArrayStore
from mc_keras.units.rows import incoming_rows
from mc_keras.weight_space import WeightSpace
from tests.contracts.flows import stirred


def _curve(curve):
    def build(start, end):
        a, b = WeightSpace(start), WeightSpace(end)
        generator = np.random.default_rng(1)
        inner = [
            [w + generator.normal(size=w.shape).astype("float32") for w in a.read()]
            for _ in range(curve.num_control_points - 2)
        ]
        return AffinePath(
            WeightSpace(clone(start)),
            [a.read(), *inner, b.read()],
            curve,
            states=(a.read_state(), b.read_state()),
        )

    return build


def _there_and_back_and_there(parametrisation):
    def build(start, end):
        legs = [
            mc.connect(start, end, "arc"),
            mc.connect(end, start, "linear"),
            _curve(Bezier(3))(start, end),
        ]
        return mc.concatenate(legs, parametrisation)

    return build


def _transported(start, end):
    a, b = WeightSpace(start), WeightSpace(end)
    rows = incoming_rows(a)[0]
    size = pack(a.read(), rows.axes).shape[1]
    return TransportedPath(
        WeightSpace(clone(start)),
        (a.read(), b.read()),
        stirred(RealNVP(size, num_blocks=2, hidden=(6,))),
        rows.axes,
        states=(a.read_state(), b.read_state()),
    )


def tensor_point(path, t):
    """The path's tensors at `t`, made of no arrays but those that its file would hold."""
    store = ArrayStore()
    path.describe(store)
    known = set(store.arrays)

    def as_tensor(array):
        assert store.add(array) in known
        return keras.ops.convert_to_tensor(array)

    return path.tensor_point(keras.ops.convert_to_tensor(t, "float32"), as_tensor)


PATHS = {
    "linear": lambda a, b: mc.connect(a, b, "linear"),
    "arc": lambda a, b: mc.connect(a, b, "arc"),
    "arc without mean": lambda a, b: mc.connect(a, b, mc.connectors.Arc(mean="none")),
    "arc of incoming rows": lambda a, b: mc.connect(a, b, mc.connectors.Arc(rows="incoming")),
    "slerp": lambda a, b: mc.connect(a, b, "slerp"),
    "bezier": _curve(Bezier(3)),
    "bezier of order 4": _curve(Bezier(5)),
    "optimal transport": lambda a, b: mc.connect(a, b, "ot"),
    "polygonal chain": _curve(PolygonalChain(4)),
    "concatenation": _there_and_back_and_there("uniform"),
    "concatenation by arc length": _there_and_back_and_there("arclength"),
    "concatenation at given knots": _there_and_back_and_there([0.0, 0.1, 0.15, 1.0]),
    "transported by a flow": _transported,
}
