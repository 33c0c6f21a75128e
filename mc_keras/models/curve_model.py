"""A Keras model that is a whole curve of networks, trained by plain `compile` and `fit`."""

import inspect
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mc_keras.architecture import check_same_architecture
from mc_keras.batch_norm import estimate_batch_norm, measured_variables
from mc_keras.cloning import clone
from mc_keras.data import inputs_of, names_them
from mc_keras.layers import CurveLayer
from mc_keras.paths import AffinePath, Bezier, Coefficients, PolygonalChain
from mc_keras.storage import fingerprint
from mc_keras.weight_space import WeightSpace

_FIT = inspect.signature(keras.Model.fit)
_EXPORT = list(inspect.signature(keras.Model.export).parameters)[2:]  # after self and filepath


@keras.saving.register_keras_serializable("mc_keras")
class CurveModel(keras.Model):
    """All networks on a curve between two trained ones, as one Keras model.

    `fit` minimises the mean loss over the curve, `E[loss(w(t))]` for `t` uniform in `[0, 1]`, with
    one `t` for each batch, over the inner control points (and the ends that are free). Any loss,
    metric, optimizer, callback and data pipeline works, as in any Keras model. The bends start
    evenly on the straight line.

    In inference (`evaluate`, `predict`, a plain call) the model stands at `position`, the middle of
    the curve at first. Networks with batch normalisation need statistics there: `fit` and
    `estimate_batch_norm` remember their data, and `evaluate` and `predict` re-estimate them when
    the weights or the position have changed. Where there was no `fit`, or one on a generator, which
    is read only once, call `estimate_batch_norm`.

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
        super().__init__(autocast=False, **kwargs)
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
        if hasattr(start, "output_names"):  # losses and metrics may go by them
            self.output_names = list(start.output_names)
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
        space = self.curve_layer.space
        self._measured = measured_variables(space)
        self._statistics = [
            self.add_weight(
                name=f"statistics_{i}",
                shape=space.state_variables[i].shape,
                dtype=space.state_variables[i].dtype,
                initializer="zeros",
                trainable=False,
                autocast=False,
            )
            for i in self._measured
        ]
        # Digest of the weights that these are of, zeros at first: a weight, to be saved with them.
        self._estimated_for = self.add_weight(
            name="estimated_for", shape=(4,), initializer="zeros", dtype="int64", trainable=False
        )
        self._batch_norm_data: Any = None
        self.built = True

    @property
    def position(self) -> float:
        """Where on the curve `evaluate`, `predict` and a plain call stand, in `[0, 1]`."""
        return float(_numpy(self._position))

    @position.setter
    def position(self, t: float) -> None:
        if not 0.0 <= t <= 1.0:
            raise ValueError(f"The position must be in [0, 1], received {t}.")
        self._position.assign(t)

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

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Output shape for inputs of a shape."""
        return self.curve_layer.compute_output_shape(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002
        """The network at a drawn position in training, at `position` in inference."""
        if training:
            return self.curve_layer(inputs, self._draw_position(), training=True)
        if tf.executing_eagerly():
            self._refresh_batch_norm()
        state = self.curve_layer.state(self._position.value)
        known = keras.ops.any(self._estimated_for.value != 0)
        for i, variable in zip(self._measured, self._statistics, strict=True):
            state[i] = keras.ops.where(known, variable.value, state[i])
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

    def compile(  # type: ignore[override]
        self, optimizer: Any = "rmsprop", *args: Any, auto_scale_loss: bool = True, **kwargs: Any
    ) -> None:
        """Configure training; see `keras.Model.compile`.

        The model itself computes in float32, so Keras does not see that its networks compute in
        `mixed_float16`, where the loss has to be scaled or small gradients underflow.
        """
        layers = self.curve_layer.template()._flatten_layers()
        if auto_scale_loss and any(layer.compute_dtype == "float16" for layer in layers):
            optimizer = keras.optimizers.get(optimizer)
            if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(optimizer, *args, auto_scale_loss=auto_scale_loss, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was; Keras does it only where `compile` is its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Train the curve; see `keras.Model.fit`.

        Raises:
            ValueError: If the networks have batch normalisation and there are validation data but
                none to estimate statistics from, as generators are read only once.
        """
        if x is not None and self._statistics:
            call = _FIT.bind(self, x, y, *args, **kwargs).arguments
            self._batch_norm_data = _kept(_trained_on(call), self._batch_norm_data)
            if self._batch_norm_data is None and call.get("validation_data") is not None:
                raise ValueError(
                    "This network has batch normalisation, whose statistics at the end of each "
                    "epoch cannot be estimated from a generator, which is read only once: call "
                    "estimate_batch_norm(training_inputs) before fit."
                )
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the network at `position`; see `keras.Model.evaluate`."""
        self._refresh_batch_norm()
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict with the network at `position`; see `keras.Model.predict`."""
        self._refresh_batch_norm()
        return super().predict(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the network at `position`; see `keras.Model.test_on_batch`."""
        self._refresh_batch_norm()
        return super().test_on_batch(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Predict with the network at `position`; see `keras.Model.predict_on_batch`."""
        self._refresh_batch_norm()
        return super().predict_on_batch(*args, **kwargs)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """Save the model with the statistics at `position`; see `keras.Model.save`."""
        if self._batch_norm_data is not None:
            self._refresh_batch_norm()
        return super().save(*args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """Write the network at `position` as a SavedModel; see `keras.Model.export`."""
        self._refresh_batch_norm()
        if len(args) < _EXPORT.index("input_signature"):
            network = self.curve_layer.template()
            taken = network.inputs if len(network.inputs) > 1 else network.inputs[0]
            specs = keras.tree.map_structure(
                lambda tensor: keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype),
                network.input if names_them(network, "input") else taken,
            )
            kwargs.setdefault("input_signature", [specs])
        return super().export(filepath, *args, **kwargs)

    def estimate_batch_norm(self, data: Any) -> None:
        """Estimate the batch-norm statistics at `position` from `data`, for inference there.

        They are estimated anew from the same data when the weights or the position have changed.

        Args:
            data: Inputs `x`, a pair `(x, y)`, a `tf.data.Dataset` or `keras.utils.PyDataset`.

        Raises:
            ValueError: If there are none, they do not fit the networks, or hold NaN.
        """
        t = keras.ops.convert_to_tensor(self.position, "float32")
        state = estimate_batch_norm(
            self.curve_layer.space,
            [keras.ops.convert_to_numpy(w) for w in self.curve_layer.point(t)],
            inputs_of(data, self.curve_layer.template()),
            state=[keras.ops.convert_to_numpy(s) for s in self.curve_layer.state(t)],
        )
        for i, variable in zip(self._measured, self._statistics, strict=True):
            variable.assign(state[i])
        self._estimated_for.assign(self._digest())
        self._batch_norm_data = _kept(data, self._batch_norm_data)

    def _digest(self) -> np.ndarray:
        """Of all that statistics at `position` depend on, whoever changed it."""
        points = self.curve_layer.control_points
        variables = [self._position, *(variable for point in points for variable in point)]
        return np.frombuffer(bytes.fromhex(fingerprint(map(_numpy, variables))), "int64")

    def _refresh_batch_norm(self) -> None:
        if not self._statistics or np.array_equal(_numpy(self._estimated_for), self._digest()):
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


def _trained_on(call: dict[str, Any]) -> Any:
    """The data, maybe without targets, that `fit` trains on when it is called so."""
    x = call["x"]
    split = call.get("validation_split")
    if split and call.get("validation_data") is None:
        count = len(keras.tree.flatten(x)[0])
        return keras.tree.map_structure(lambda array: array[: math.floor(count * (1 - split))], x)
    if hasattr(x, "as_numpy_iterator"):
        steps = call.get("steps_per_epoch")
        return x if steps is None else x.take(steps)
    return x if call.get("y") is None else (x, call["y"])


def _kept(data: Any, before: Any) -> Any:
    """Data to estimate from later: those `before` if the new ones come only once."""
    return before if hasattr(data, "__next__") else data


def _numpy(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))
