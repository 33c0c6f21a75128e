"""One row for each kind of flow: a function that builds it with weights as after a training."""

import numpy as np

from mc_keras.flows import InverseAutoregressiveFlow, RealNVP

FLOWS = {
    "real_nvp": lambda size: stirred(RealNVP(size, num_blocks=3, hidden=(9, 8))),
    "real_nvp of one block": lambda size: stirred(RealNVP(size, num_blocks=1, hidden=(6,))),
    "autoregressive": lambda size: stirred(
        InverseAutoregressiveFlow(size, num_blocks=2, hidden=(20, 19))
    ),
}


def stirred(flow, scale=0.3, seed=0):
    """The flow with random weights: it starts as no more than a normalisation."""
    generator = np.random.default_rng(seed)
    flow.adapt(generator.normal(1, 2, size=(64, flow.size)).astype("float32"))
    for conditioner in flow.conditioners:
        for weight in conditioner.trainable_weights:
            weight.assign_add(scale * generator.normal(size=weight.shape) / weight.shape[0] ** 0.5)
    return flow
