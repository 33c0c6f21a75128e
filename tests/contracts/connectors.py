"""One row for each connection method."""

import mc_keras as mc
from mc_keras.connectors import Arc, CurveFitting, Linear, OptimalTransport, Slerp

CONNECTORS = {
    "linear": Linear(),
    "arc": Arc(),
    "arc without mean": Arc(mean="none"),
    "arc of incoming rows": Arc(rows="incoming"),
    "slerp": Slerp(),
    "slerp of incoming rows": Slerp(rows="incoming"),
    "optimal transport": OptimalTransport(),
    "optimal transport by swaps along an arc": OptimalTransport(along=Arc(), stage="swaps"),
    "optimal transport through one slot": OptimalTransport(stage="one_slot"),
    "optimal transport through half of the slots": OptimalTransport(stage="half_free"),
    "bezier": CurveFitting(curve=mc.Bezier(3), epochs=2),
    "bezier of order 3": CurveFitting(curve=mc.Bezier(4), epochs=2, weight_decay=1e-4),
    "polychain": CurveFitting(curve=mc.PolygonalChain(3), epochs=2, num_strata=1),
}
