"""Training a flow by maximum likelihood: the objective *Flow*."""

from typing import Any

import keras
import numpy as np

from mc_keras.flows.flow import Flow, checked_flow
from mc_keras.flows.rows import check_finite_rows


@keras.saving.register_keras_serializable("mc_keras")
class LikelihoodModel(keras.Model):
    """A flow to be trained so that the latents of rows are standard normal.

    `compile(optimizer)` without a loss, and `fit(rows)` with rows of shape `(units, weights of a
    unit)`: the loss is the negative log-density of a row, in nats for each of its coordinates. The
    order of the rows is that of `fit`: `keras.utils.set_random_seed` before it makes it repeatable.

    Args:
        flow: The flow; `fit` changes it. Call its `adapt` first.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        TypeError: If `flow` is no flow.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.3.
    """

    def __init__(self, flow: Flow, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.flow = checked_flow(flow)
        self.built = True

    def call(self, rows: Any) -> Any:
        """Negative log-density of each row, in nats for each coordinate."""
        loss = -self.flow.log_prob(rows) / self.flow.size
        self.add_loss(keras.ops.mean(loss))
        return loss

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does.

        Raises:
            ValueError: If `x` is an array of rows that are not finite.
        """
        if isinstance(x, np.ndarray) and x.ndim == 2:
            check_finite_rows(x)
        return super().fit(x, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The flow's configuration."""
        return {"name": self.name, "flow": keras.saving.serialize_keras_object(self.flow)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LikelihoodModel":
        """The model that `get_config` described; its weights are loaded separately."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("flow")), **config)
