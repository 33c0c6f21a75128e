"""Curve-aware weights for any Keras layer."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.paths import Bezier, Coefficients
from mc_keras.weight_space import WeightSpace


class _Hidden:
    """Holds the wrapped layer where Keras does not track it.

    Its own weights are placeholders: were it tracked, they would count, be saved and be
    regularised beside the control points.
    """

    def __init__(self, layer: keras.Layer):
        self.layer = layer
        self.space: WeightSpace | None = None


@keras.saving.register_keras_serializable("mc_keras")
class CurveLayer(keras.layers.Layer):
    """A layer (or a whole model) whose every weight is a curve with trainable control points.

    `layer(x, t)` is the wrapped layer with the weights `sum(c[k](t) * w[k])`. It works for every
    Keras layer, as the layer itself is called, at other weights. Several curve layers make one
    network on a curve if they are called with the same `t`.

    Regularisers of the wrapped layer, and `weight_decay`, act on the interpolated weights, as in
    Garipov et al., not on the control points. Batch normalisation in training uses the statistics
    of the batch; its moving statistics belong to a point, not to the curve, and in inference they
    are those of the two ends, interpolated (see `CurveModel.estimate_batch_norm`).

    Args:
        layer: Keras layer or model. All control points start at its weights; `set_ends` moves
            them.
        curve: `mc.Bezier` or `mc.PolygonalChain`; a Bezier curve with one bend if not given.
        fix_start: Whether the first control point stays as it is in training.
        fix_end: Whether the last control point stays as it is in training.
        weight_decay: `weight_decay / 2 * sum(w(t)**2)` over all weights is added to the loss.
        seed: Seed of the random layers (dropout) inside.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: What the wrapped layer takes; a tuple for a layer that takes several arguments,
            such as `(query, value)` for MultiHeadAttention.
        t: Position on the curve in `[0, 1]`: a scalar, or a tensor of any shape of which the
            first value counts (so that it can be an Input of a Functional model).
        training: Whether to train.

    Reference:
        Garipov et al., 2018, section 3, https://arxiv.org/abs/1802.10026

    Example:

    >>> layer = CurveLayer(keras.layers.Dense(10), curve=Bezier(num_control_points=3))
    >>> layer(np.ones((2, 4), "float32"), 0.5).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        layer: keras.Layer,
        curve: Coefficients | None = None,
        *,
        fix_start: bool = True,
        fix_end: bool = True,
        weight_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        # Control points stay in float32: a mixed-precision wrapper would cast them, and with them
        # the regularisers, to half precision. The wrapped layer computes in its own dtype.
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if not isinstance(layer, keras.Layer):
            raise TypeError(f"CurveLayer wraps a Keras layer, received {type(layer).__name__}.")
        for inner in layer._flatten_layers():
            if isinstance(inner, keras.layers.SpectralNormalization):
                raise ValueError(
                    f"'{inner.name}' (SpectralNormalization) changes its weights at every call in "
                    "training, which those on a curve do not follow: use a method that does not "
                    "train, such as 'linear' or 'ot'."
                )
        self._hidden = _Hidden(layer)
        self.curve = curve if curve is not None else Bezier(num_control_points=3)
        self.fix_start = fix_start
        self.fix_end = fix_end
        self.weight_decay = weight_decay
        self.seed = seed
        self.control_points: list[list[keras.Variable]] = []
        self.end_states: list[list[keras.Variable]] = []
        self.supports_jit = layer.supports_jit
        self.seed_generator = keras.random.SeedGenerator(seed)
        if layer.built:
            self.build(None)

    def template(self) -> keras.Layer:
        """The wrapped layer, whose own weights are placeholders.

        A method, because Keras saves every layer that it finds in an attribute.
        """
        return self._hidden.layer

    @property
    def space(self) -> WeightSpace:
        """Weight space of the wrapped layer.

        Raises:
            ValueError: If the layer has not been built.
        """
        if self._hidden.space is None:
            raise ValueError(
                f"'{self.name}' has no weights yet: call it on data, or build it with an input "
                "shape."
            )
        return self._hidden.space

    def build(self, input_shape: Any) -> None:
        """Make the control points, all of them at the wrapped layer's own weights."""
        if self._hidden.space is not None:
            return
        if not self.template().built:
            self.template().build(*self._arguments(input_shape, tuple))
        self._hidden.space = space = WeightSpace(self.template())
        last = self.curve.num_control_points - 1
        for k in range(last + 1):
            fixed = (k == 0 and self.fix_start) or (k == last and self.fix_end)
            self.control_points.append(
                [
                    self.add_weight(
                        # Some optimizers go by the names of the variables.
                        name=f"point_{k}_{i}_{variable.path.replace('/', '_')}",
                        shape=variable.shape,
                        dtype=variable.dtype,
                        initializer="zeros",
                        trainable=not fixed and variable.trainable,
                        constraint=variable.constraint,
                        autocast=False,
                    )
                    for i, variable in enumerate(space.variables)
                ]
            )
        for name in ("start", "end"):
            self.end_states.append(
                [
                    self.add_weight(
                        name=f"{name}_state_{i}",
                        shape=variable.shape,
                        dtype=variable.dtype,
                        initializer="zeros",
                        trainable=False,
                        autocast=False,
                    )
                    for i, variable in enumerate(space.state_variables)
                ]
            )
        start, state = space.read(), space.read_state()
        self.set_ends(start, start, states=(state, state))
        self.built = True

    def set_ends(
        self,
        start: Sequence[Any],
        end: Sequence[Any],
        *,
        states: tuple[Sequence[Any], Sequence[Any]] | None = None,
    ) -> None:
        """Put the ends at two points, and the bends between them evenly on the straight line.

        Args:
            start: Arrays aligned with `layer.space.variables`.
            end: Likewise.
            states: Untrained weights (batch-norm statistics) at the two ends.

        Raises:
            ValueError: If numbers or shapes do not fit.
        """
        self.space.check(start, self.space.variables, "point")
        self.space.check(end, self.space.variables, "point")
        last = len(self.control_points) - 1
        for k, control_point in enumerate(self.control_points):
            alpha = k / last
            for variable, a, b in zip(control_point, start, end, strict=True):
                # The ends bit for bit: (1 - 1) * a is NaN where a is infinite.
                value = a if k == 0 else b if k == last else (1 - alpha) * a + alpha * b
                variable.assign(value)
        for variables, values in zip(self.end_states, states or (), strict=False):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def point(self, t: Any) -> list[Any]:
        """The interpolated weights at a scalar tensor `t`, aligned with `space.variables`."""
        coefficients = self.curve(keras.ops.cast(t, "float32"))
        points = zip(*self.control_points, strict=True)
        return [
            sum(
                keras.ops.cast(c, value.dtype) * value.value
                for c, value in zip(coefficients, values, strict=True)
            )
            for values in points
        ]

    def state(self, t: Any) -> list[Any]:
        """The untrained weights at a scalar tensor `t`, interpolated between the ends."""
        return [
            keras.ops.cast(1 - t, a.dtype) * a.value + keras.ops.cast(t, a.dtype) * b.value
            if keras.backend.is_float_dtype(a.dtype)
            else a.value
            for a, b in zip(*self.end_states, strict=True)
        ]

    def __call__(self, inputs: Any, t: Any, **kwargs: Any) -> Any:
        """Keras takes tensors only as positional arguments; a plain number is meant as one."""
        if isinstance(t, int | float | np.number):
            t = keras.ops.convert_to_tensor(t, "float32")
        return super().__call__(inputs, t, **kwargs)

    def call(
        self,
        inputs: Any,
        t: Any,
        training: bool = False,  # noqa: FBT001, FBT002
        state: Any = None,
    ) -> Any:
        """The wrapped layer at `t`; `state` replaces the interpolated untrained weights."""
        t = keras.ops.reshape(keras.ops.cast(t, "float32"), (-1,))[0]
        # All of it before the scope, inside which the values of an outer scope are not seen.
        point = self.point(t)
        state = self.state(t) if state is None else state
        seeds = self._draw_seeds() if training else None
        template = self.template()

        def compute() -> Any:
            keywords = {"training": training} if template._call_has_training_arg else {}
            outputs = template(*self._arguments(inputs), **keywords)
            return outputs, list(template.losses)

        (outputs, losses), _ = self.space.at(point, compute, state=state, seeds=seeds)
        for loss in losses:
            self.add_loss(loss)
        if self.weight_decay:
            squares = [keras.ops.sum(keras.ops.square(w)) for w in point]
            self.add_loss(0.5 * self.weight_decay * sum(squares))
        return outputs

    def _draw_seeds(self) -> list[Any]:
        """States for the random generators inside: new in every call, the same after a resume.

        What the generators assign in the scope is lost, so each gets a state of its own from ours,
        far enough from the next call's for all the draws of one call.
        """
        if not self.space.seed_variables:
            return []
        key = self.seed_generator.next()
        stride = keras.ops.convert_to_tensor([1, 1 << 16], key.dtype)
        return [
            key * stride + keras.ops.convert_to_tensor([i + 1, 0], key.dtype)
            for i in range(len(self.space.seed_variables))
        ]

    def save_own_variables(self, store: Any) -> None:
        """Keras does not save the states of random generators; a resumed run needs them."""
        super().save_own_variables(store)
        store["seed_state"] = keras.ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """See `save_own_variables`."""
        self.seed_generator.state.assign(store["seed_state"])
        super().load_own_variables({key: store[key] for key in store.keys() if key != "seed_state"})

    def _arguments(self, inputs: Any, element: type | None = None) -> tuple[Any, ...]:
        """The arguments for the wrapped layer: a tuple is several, of a model several inputs.

        A tuple of numbers is one shape, where the elements are said to be tuples.
        """
        if not isinstance(inputs, tuple) or not all(
            element is None or isinstance(i, element) for i in inputs
        ):
            return (inputs,)
        if isinstance(self.template(), keras.Sequential | keras.Function):
            return (list(inputs),)
        return inputs

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        """Shape of the wrapped layer's output."""
        if input_shape is None:  # as for a layer that was built with its weights
            if not hasattr(self.template(), "output_shape"):
                raise NotImplementedError("The shape of the inputs is not known.")
            return self.template().output_shape
        return self.template().compute_output_shape(*self._arguments(input_shape, tuple))

    def get_config(self) -> dict[str, Any]:
        """Configuration; the wrapped layer is serialised in it."""
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.template()),
            "curve": keras.saving.serialize_keras_object(self.curve),
            "fix_start": self.fix_start,
            "fix_end": self.fix_end,
            "weight_decay": self.weight_decay,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CurveLayer":
        """The layer that `get_config` described; control points are loaded separately."""
        config = dict(config)
        for key in ("layer", "curve"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)
