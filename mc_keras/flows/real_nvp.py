"""RealNVP: affine couplings, fast in both directions."""

from typing import TYPE_CHECKING

import keras

from mc_keras.flows.conditioners import CouplingNetwork
from mc_keras.flows.flow import Flow

if TYPE_CHECKING:
    from tensorflow_probability import bijectors as tfb


@keras.saving.register_keras_serializable("mc_keras")
class RealNVP(Flow):
    """Flow whose blocks shift and scale one half of the coordinates, given the other half.

    See `Flow` for the arguments.

    Reference:
        Dinh et al., 2017, https://arxiv.org/abs/1605.08803
    """

    def _conditioner(self, name: str) -> CouplingNetwork:
        given = self.size // 2
        network = CouplingNetwork(
            self.size - given, self.hidden, self.max_log_scale, name=name, dtype=self.dtype
        )
        network.build((None, given))
        return network

    def _block(self, index: int) -> "tfb.Bijector":
        from tensorflow_probability import bijectors as tfb

        conditioner = self.conditioners[index]
        return tfb.RealNVP(
            num_masked=self.size // 2,
            shift_and_log_scale_fn=lambda given, output_units: conditioner(given),
        )
