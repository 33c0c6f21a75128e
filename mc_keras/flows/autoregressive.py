"""Inverse autoregressive flow: fast from rows to latents, one coordinate at a time back."""

from typing import TYPE_CHECKING

import keras

from mc_keras.flows.conditioners import AutoregressiveNetwork, CouplingNetwork
from mc_keras.flows.flow import Flow

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb


@keras.saving.register_keras_serializable("mc_keras")
class InverseAutoregressiveFlow(Flow):
    """Flow whose blocks shift and scale each coordinate, given those before it.

    From rows to latents it takes one evaluation of each block's network, back as many as there are
    coordinates: it is trained by likelihood only. See `Flow` for the arguments.

    Reference:
        Kingma et al., 2016, https://arxiv.org/abs/1606.04934
    """

    def _conditioner(self, name: str) -> CouplingNetwork:
        network = AutoregressiveNetwork(
            self.size, self.hidden, self.max_log_scale, name=name, dtype=self.dtype
        )
        network.build((None, self.size))
        return network

    def _block(self, index: int) -> "tfb.Bijector":
        from tensorflow_probability import bijectors as tfb

        return tfb.Invert(
            tfb.MaskedAutoregressiveFlow(shift_and_log_scale_fn=self.conditioners[index])
        )
