"""One row for each connection method, and one for each option that is refused."""

import mc_keras as mc
from mc_keras.connectors import (
    Arc,
    Best,
    Butterfly,
    CurveFitting,
    FeatureInterpolation,
    LearnedConnection,
    Linear,
    OptimalTransport,
    Repair,
    Slerp,
    WeightAdjustment,
)
from mc_keras.flows import RealNVP
from tests.contracts.flows import stirred

# For the rows of a network with 5 inputs and 3 outputs.
_FLOW = stirred(RealNVP(9, num_blocks=2, hidden=(6,)))

CONNECTORS = {
    "linear": Linear(),
    "arc": Arc(),
    "arc without mean": Arc(mean="none"),
    "arc of incoming rows": Arc(rows="incoming"),
    "slerp": Slerp(),
    "slerp of incoming rows": Slerp(rows="incoming"),
    "optimal transport": OptimalTransport(),
    "optimal transport by swaps along an arc": OptimalTransport(along=Arc(), stage="swaps"),
    "optimal transport by all swaps at once": OptimalTransport(
        stage="swaps", simultaneous_swaps=100
    ),
    "optimal transport through one slot": OptimalTransport(stage="one_slot"),
    "optimal transport through half of the slots": OptimalTransport(stage="half_free"),
    "optimal transport by incoming weights": OptimalTransport(match="incoming"),
    "butterflies along lines": Butterfly(),
    "butterflies along arcs": Butterfly(Arc()),
    "butterflies by optimal transport": Butterfly(OptimalTransport()),
    "weight adjustment": WeightAdjustment(num_breakpoints=3),
    "weight adjustment along an arc": WeightAdjustment(Arc(), num_breakpoints=3),
    "weight adjustment to the start": WeightAdjustment(target="start", num_breakpoints=3),
    "weight adjustment to the end": WeightAdjustment(target="end", num_breakpoints=3),
    "weight adjustment without a prior": WeightAdjustment(num_breakpoints=3, pseudo_inverse=True),
    "weight adjustment by optimal transport": WeightAdjustment(
        OptimalTransport(), num_breakpoints=2
    ),
    "rescaling": OptimalTransport(along=Repair(num_knots=3)),
    "feature interpolation": OptimalTransport(
        match="both", along=FeatureInterpolation(num_knots=3)
    ),
    "feature interpolation, one layer after the other": FeatureInterpolation(
        stagger=1.0, num_knots=6
    ),
    "best": Best(),
    "feature interpolation along an arc": FeatureInterpolation(Arc(), num_knots=4),
    "bezier": CurveFitting(curve=mc.Bezier(3), epochs=2),
    "bezier of order 3": CurveFitting(curve=mc.Bezier(4), epochs=2, weight_decay=1e-4),
    "polychain": CurveFitting(curve=mc.PolygonalChain(3), epochs=2, num_strata=1),
    "learned": LearnedConnection(model=_FLOW),
    "learned, units lined up": OptimalTransport(along=LearnedConnection(model=_FLOW)),
    "weight adjustment along a learned connection": WeightAdjustment(
        LearnedConnection(model=_FLOW), num_breakpoints=3
    ),
}

_COUNTS = [
    (OptimalTransport, "simultaneous_swaps", 1),
    (OptimalTransport, "num_examples", 1),
    (Best, "num_choosing", 1),
    (Repair, "num_knots", 3),
    (FeatureInterpolation, "num_positions", 1),
    (FeatureInterpolation, "num_examples", 1),
    (WeightAdjustment, "num_breakpoints", 2),
    (Butterfly, "num_positions", 1),
    (Butterfly, "num_examples", 1),
    (CurveFitting, "epochs", 1),
    (CurveFitting, "batch_size", 1),
    (CurveFitting, "num_strata", 1),
]
BAD_OPTIONS = [
    *(
        (kind, {name: value}, f"whole number of at least {least} for {name}, .*={value!r}")
        for kind, name, least in _COUNTS
        for value in (least - 1, least + 1.5, str(least))
    ),
    *(
        (kind, {"ridge": value}, f"finite number of 0 or more for ridge, .*={value!r}")
        for kind in (WeightAdjustment, Butterfly, FeatureInterpolation)
        for value in (-1e-4, float("nan"), float("inf"), "1e-4")
    ),
    *(
        (CurveFitting, {name: value}, f"finite number {which} for {name}, .*={value!r}")
        for name, which, least in (
            ("learning_rate", "above 0", 0.0),
            ("weight_decay", "of 0 or more", -0.1),
        )
        for value in (least, float("nan"), "1e-4")
    ),
    *(
        (kind, {name: "other"}, f"takes '.*' or '.*' for {name}, received {name}='other'")
        for kind, name in (
            (Arc, "mean"),
            (Arc, "rows"),
            (Slerp, "rows"),
            (OptimalTransport, "end"),
            (OptimalTransport, "stage"),
            (OptimalTransport, "match"),
            (OptimalTransport, "on_unknown"),
            (Best, "on_unknown"),
            (WeightAdjustment, "target"),
            (CurveFitting, "optimizer"),
            (CurveFitting, "augmentation"),
        )
    ),
    (FeatureInterpolation, {"stagger": "a"}, "finite number of 0 or more for stagger"),
    (FeatureInterpolation, {"stagger": 1.5}, "a stagger from 0 to 1"),
    (OptimalTransport, {"along": "arc"}, "a connector such as .* received along='arc'"),
    (OptimalTransport, {"along": OptimalTransport(end="permuted")}, "that reaches the end"),
    (
        OptimalTransport,
        {"along": WeightAdjustment(OptimalTransport(end="permuted"))},
        r"along=WeightAdjustment\(...\), which stops at a reordering",
    ),
    (Butterfly, {"base": Repair()}, r"Arc\(\) or OptimalTransport\(\), received Repair"),
    (
        WeightAdjustment,
        {"base": OptimalTransport(along=Repair())},
        "received OptimalTransport along Repair",
    ),
]
