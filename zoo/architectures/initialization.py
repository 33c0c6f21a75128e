"""First weights of a network, the same on every backend."""

import keras
import numpy as np


def initialize(model: keras.Model, seed: int) -> None:
    """Draws fresh weights for a model of the zoo, in place.

    Kernels that lead to ReLU are normal with variance 2 / fan-in, that of the last layer with
    variance 1 / fan-in; biases are zero, batch normalisation is the identity. NumPy draws them, so
    that a seed means the same weights under TensorFlow, JAX and PyTorch. Dropout is seeded as well.

    Args:
        model: A built model. Its weights are overwritten.
        seed: Non-negative integer.

    Reference:
        He et al., 2015, https://arxiv.org/abs/1502.01852
    """
    sources = np.random.SeedSequence(seed).spawn(len(model.layers))
    for layer, source in zip(model.layers, sources, strict=True):
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            gain = 1.0 if layer is model.layers[-1] else 2.0
            deviation = np.sqrt(gain / np.prod(shape[:-1]))
            kernel = np.random.default_rng(source).normal(scale=deviation, size=shape)
            biases = [np.zeros(layer.bias.shape)] if layer.use_bias else []
            layer.set_weights([kernel, *biases])
        elif isinstance(layer, keras.layers.BatchNormalization):
            zeros = np.zeros(layer.gamma.shape)
            layer.set_weights([zeros + 1, zeros, zeros, zeros + 1])
        elif isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([source.generate_state(1)[0], 0])
