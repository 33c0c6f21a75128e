"""A Keras model that is a whole curve of networks, trained by plain `compile` and `fit`."""

import math
from typing import Any

import keras
import numpy as np

from mc_keras.batch_norm import estimate_batch_norm, has_batch_norm
from mc_keras.data import inputs_of
from mc_keras.layers import CurveLayer
from mc_keras.paths import AffinePath, Bezier, Coefficients, PolygonalChain
from mc_keras.weight_space import WeightSpace, check_same_architecture, clone


@keras.saving.register_keras_serializable("mc_keras")
class CurveModel(keras.Model):
    """All networks on a curve between two trained ones, as one Keras model.

    `fit` minimises the mean loss over the curve, `E[loss(w(t))]` for `t` uniform in `[0, 1]`, with
    one `t` for each batch, over the inner control points (and the ends that are free). Any loss,
    metric, optimizer, callback and data pipeline works, as in any Keras model. The bends start
    evenly on the straight line.

    In inference (`evaluate`, `predict`, a plain call) the model stands at `position`, the middle of
    the curve at first. Networks with batch normalisation need statistics there: `fit` remembers its
    data and `evaluate` and `predict` re-estimate them when the weights have changed; without a
    `fit` call `estimate_batch_norm`.

    Args:
        start: Trained model at `t = 0`. Not changed.
        end: Trained model at `t = 1`, of the same architecture. Not changed.
        curve: `mc.Bezier` or `mc.PolygonalChain`; a Bezier curve with one bend if not given.
        fix_start: Whether the start stays as it is.
        fix_end: Whether the end stays as it is.
        weight_decay: `weight_decay / 2 * sum(w(t)**2)` over all interpolated weights is added to
            the loss. Use it instead of an optimizer's, which would decay the control points.
        num_strata: Every `num_strata` successive batches draw their `t` one from each of as many
            equal parts of `[0, 1]`, which lowers the variance of the gradient; 1 draws freely.
        seed: Seed of the positions drawn and of dropout.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        ValueError: If the models differ in architecture or have unbuilt weights.

    Reference:
        Garipov et al., 2018, section 3, https://arxiv.org/abs/1802.10026
    """

    def __init__(
        self,
        start: keras.Model,
        end: keras.Model,
        curve: Coefficients | None = None,
        *,
        fix_start: bool = True,
        fix_end: bool = True,
        weight_decay: float = 0.0,
        num_strata: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if num_strata < 1:
            raise ValueError(f"num_strata must be at least 1, received {num_strata}.")
        check_same_architecture(start, end)
        self.curve_layer = CurveLayer(
            clone(start),
            curve,
            fix_start=fix_start,
            fix_end=fix_end,
            weight_decay=weight_decay,
            seed=seed,
            name="curve",
        )
        a, b = WeightSpace(start), WeightSpace(end)
        self.curve_layer.set_ends(a.read(), b.read(), states=(a.read_state(), b.read_state()))
        self.num_strata = num_strata
        self.supports_jit = self.curve_layer.supports_jit
        self._position = self.add_weight(
            name="position",
            shape=(),
            initializer=keras.initializers.Constant(0.5),
            trainable=False,
            autocast=False,
        )
        self._batches = self.add_weight(
            name="batches", shape=(), initializer="zeros", dtype="int32", trainable=False
        )
        self._state = [
            self.add_weight(
                name=f"state_{i}",
                shape=variable.shape,
                dtype=variable.dtype,
                initializer="zeros",
                trainable=False,
                autocast=False,
            )
            for i, variable in enumerate(self.curve_layer.space.state_variables)
        ]
        # Number of updates after which `_state` was estimated: a weight, to be saved with it.
        self._estimated_after = self.add_weight(
            name="estimated_after",
            shape=(),
            initializer=keras.initializers.Constant(-1),
            dtype="int64",
            trainable=False,
        )
        self._batch_norm_data: Any = None
        self.built = True

    @property
    def position(self) -> float:
        """Where on the curve `evaluate`, `predict` and a plain call stand, in `[0, 1]`."""
        return float(self._position)

    @position.setter
    def position(self, t: float) -> None:
        if not 0.0 <= t <= 1.0:
            raise ValueError(f"The position must be in [0, 1], received {t}.")
        self._position.assign(t)
        self._estimated_after.assign(-1)

    @property
    def curve(self) -> Coefficients:
        """The coefficient function of the curve."""
        return self.curve_layer.curve

    @property
    def input_shape(self) -> Any:
        """Input shape of the networks on the curve."""
        return self.curve_layer.template().input_shape

    @property
    def output_shape(self) -> Any:
        """Output shape of the networks on the curve."""
        return self.curve_layer.template().output_shape

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002
        """The network at a drawn position in training, at `position` in inference."""
        if training:
            return self.curve_layer(inputs, self._draw_position(), training=True)
        state = [variable.value for variable in self._state]
        return self.curve_layer(inputs, self._position.value, training=False, state=state)

    def _draw_position(self) -> Any:
        generator = self.curve_layer.seed_generator
        uniform = keras.random.uniform((), dtype="float32", seed=generator)
        n = self.num_strata
        if n == 1:
            return uniform
        # A stride near n / golden ratio and coprime to n visits all strata, neighbours far apart.
        stride = next(k for k in range(max(1, round(0.618 * n)), n + 1) if math.gcd(k, n) == 1)
        stratum = keras.ops.mod(self._batches * stride, n)
        self._batches.assign(keras.ops.mod(self._batches + 1, n))
        return (keras.ops.cast(stratum, "float32") + uniform) / n

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Train the curve; see `keras.Model.fit`."""
        if x is not None and self._has_batch_norm:
            self._batch_norm_data = x
        return super().fit(x, y, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the network at `position`; see `keras.Model.evaluate`."""
        self._refresh_batch_norm()
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict with the network at `position`; see `keras.Model.predict`."""
        self._refresh_batch_norm()
        return super().predict(*args, **kwargs)

    @property
    def _has_batch_norm(self) -> bool:
        return has_batch_norm(self.curve_layer.template())

    @property
    def _updates(self) -> int:
        return int(self.optimizer.iterations) if getattr(self, "optimizer", None) else 0

    def estimate_batch_norm(self, data: Any) -> None:
        """Estimate the batch-norm statistics at `position` from `data`, for inference there.

        Args:
            data: Inputs `x`, a pair `(x, y)`, or a `tf.data.Dataset`.
        """
        t = keras.ops.convert_to_tensor(self.position, "float32")
        state = estimate_batch_norm(
            self.curve_layer.space,
            [keras.ops.convert_to_numpy(w) for w in self.curve_layer.point(t)],
            inputs_of(data),
            state=[keras.ops.convert_to_numpy(s) for s in self.curve_layer.state(t)],
        )
        for variable, value in zip(self._state, state, strict=True):
            variable.assign(value)
        self._estimated_after.assign(self._updates)

    def _refresh_batch_norm(self) -> None:
        if not self._has_batch_norm or int(self._estimated_after) == self._updates:
            return
        if self._batch_norm_data is None:
            raise ValueError(
                "This network has batch normalisation, whose statistics belong to a position on "
                "the curve and are not known at the present one: call "
                "estimate_batch_norm(training_inputs) before evaluate or predict."
            )
        self.estimate_batch_norm(self._batch_norm_data)

    def path(self) -> AffinePath:
        """The curve as a path, at its present control points."""
        layer = self.curve_layer
        space = WeightSpace(clone(layer.template()))
        start, end = ([_numpy(v) for v in variables] for variables in layer.end_states)
        names: dict[type, str] = {Bezier: "bezier", PolygonalChain: "polychain"}
        return AffinePath(
            space,
            [[_numpy(v) for v in point] for point in layer.control_points],
            layer.curve,
            states=(start, end),
            method=names.get(type(layer.curve), type(layer.curve).__name__),
        )

    def get_config(self) -> dict[str, Any]:
        """Configuration; the networks' architecture is serialised in it."""
        layer = self.curve_layer
        return {
            "name": self.name,
            "template": keras.saving.serialize_keras_object(layer.template()),
            "curve": keras.saving.serialize_keras_object(layer.curve),
            "fix_start": layer.fix_start,
            "fix_end": layer.fix_end,
            "weight_decay": layer.weight_decay,
            "num_strata": self.num_strata,
            "seed": layer.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CurveModel":
        """The model that `get_config` described; its weights are loaded separately."""
        config = dict(config)
        template = keras.saving.deserialize_keras_object(
            config.pop("template"), custom_objects=custom_objects
        )
        curve = keras.saving.deserialize_keras_object(config.pop("curve"))
        return cls(template, template, curve, **config)


def _numpy(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))
