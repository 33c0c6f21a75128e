"""The space of a model's weights: which variables, in which order, and the model at a point of it.

This is the only file that uses `keras.StatelessScope`. A *point* is a plain list of arrays or
tensors aligned with `WeightSpace.variables`; a *state* is one aligned with
`WeightSpace.state_variables` (batch-norm moments and the like: they belong to a point but are
not trained).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Point = list[Any]

# Layers whose weights are tables of words or numbers.
LOOKUPS = (
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)


class WeightSpace:
    """The ordered weights of one model, and the model at other weights.

    The lists of variables are fixed at construction. A variable is on the path if it was
    *created* trainable, so a frozen layer (`trainable=False`) stays on it.

    Args:
        model: A built Keras model (or layer). It is not changed, except by `write`.

    Attributes:
        model: The model.
        variables: The variables a path moves, in the order of `model.weights`.
        owners: The layer that each of `variables` belongs to.
        state_variables: The other weights, such as batch-norm moving statistics.
        seed_variables: States of the random generators of dropout and the like.

    Raises:
        TypeError: If `model` is not a Keras layer or model.
        ValueError: If its weights do not exist yet.
    """

    def __init__(self, model: keras.Layer):
        if not isinstance(model, keras.Layer):
            raise TypeError(
                f"Expected a Keras model, received {type(model).__name__}: {model!r:.80}."
            )
        if not model.built or any(
            # Keras never says of the look-up table inside a TextVectorization that it is built.
            not layer.built and not isinstance(layer, LOOKUPS)
            for layer in layers_inside(model)
        ):
            raise ValueError(
                f"The model '{model.name}' has unbuilt weights: give it an input shape (an Input "
                "layer, or model.build(input_shape)) or call it once on data before connecting it."
            )
        owners = {
            id(v): layer for layer in layers_inside(model) for v in layer._trainable_variables
        }
        self.model = model
        self.variables = tuple(v for v in model.weights if id(v) in owners)
        self.state_variables = tuple(v for v in model.weights if id(v) not in owners)
        self.owners = tuple(owners[id(v)] for v in self.variables)
        weights = {id(v) for v in model.weights}
        self.seed_variables = tuple(
            v
            for v in model.non_trainable_variables
            if id(v) not in weights and keras.backend.is_int_dtype(v.dtype) and v.shape == (2,)
        )
        self._normalizations = adapted_normalizations(model)
        if not self.variables:
            raise ValueError(
                f"The model '{model.name}' has no weights, so there is nothing to connect."
            )

    def read(self) -> list[np.ndarray]:
        """The point where the model is now."""
        return [_to_numpy(v) for v in self.variables]

    def read_state(self) -> list[np.ndarray]:
        """The state the model has now."""
        return [_to_numpy(v) for v in self.state_variables]

    def write(self, point: Sequence[Any], state: Sequence[Any] | None = None) -> None:
        """Move the model to `point`, and give it `state` if there is one.

        Raises:
            ValueError: If the number or the shapes of the arrays do not fit.
        """
        self.check(point, self.variables, "point")
        if state is not None:
            self.check(state, self.state_variables, "state")
            for variable, value in zip(self.state_variables, state, strict=True):
                variable.assign(value)
        for variable, value in zip(self.variables, point, strict=True):
            variable.assign(value)
        for layer in self._normalizations:
            layer.finalize_state()

    def check(self, arrays: Sequence[Any], variables: Sequence[Any], what: str) -> None:
        """Raise ValueError unless `arrays` has the number and shapes of `variables`."""
        if len(arrays) != len(variables):
            raise ValueError(
                f"A {what} of '{self.model.name}' has {len(variables)} arrays, received "
                f"{len(arrays)}: pass one array for each of its variables, in their order."
            )
        for array, variable in zip(arrays, variables, strict=True):
            if tuple(array.shape) != tuple(variable.shape):
                raise ValueError(
                    f"'{variable.path}' has shape {tuple(variable.shape)}, received an array of "
                    f"shape {tuple(array.shape)}: pass the arrays of a {what} in the order of the "
                    "variables."
                )

    def at(
        self,
        point: Sequence[Any],
        compute: Callable[[], Any],
        *,
        state: Sequence[Any] | None = None,
        seeds: Sequence[Any] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Run `compute` with the variables standing at `point`; nothing is assigned.

        `point` must have been computed before the call: Keras scopes do not nest, and values of
        an outer scope are not seen inside. Losses that layers add inside are collected by
        `layer.losses` as usual.

        Args:
            point: Tensors aligned with `variables`; gradients flow to them.
            compute: Function without arguments that calls the model or parts of it.
            state: Tensors aligned with `state_variables`; the present values if not given.
            seeds: Tensors aligned with `seed_variables`; the present values if not given.

        Returns:
            What `compute` returned, and the state after it (batch-norm layers in training mode
            update theirs).
        """
        mapping = list(zip(self.variables, point, strict=True))
        if state is None:
            state = [v.value for v in self.state_variables]
        mapping += zip(self.state_variables, state, strict=True)
        if seeds is not None:
            mapping += zip(self.seed_variables, seeds, strict=True)
        tensors: list[tuple[keras.Variable, Any]] = []
        others: list[tuple[keras.Variable, Any]] = []
        for pair in mapping:
            (tensors if _is_tensor_for(*pair) else others).append(pair)
        scope = keras.StatelessScope(
            state_mapping=others, collect_losses=True, initialize_variables=False
        )
        # The constructor would look at each, which in a deep network takes longer than a layer.
        for pair in tensors:
            scope.add_update(pair)
        with scope, self._normalized():
            result = compute()
        return result, [scope.get_current_value(v) for v in self.state_variables]

    @contextlib.contextmanager
    def _normalized(self) -> Iterator[None]:
        """Within this, adapted layers compute with the present values of their variables.

        They hold tensors that were made of them; those of a scope must not outlive it.
        """
        before = [(layer.mean, layer.variance) for layer in self._normalizations]
        for layer in self._normalizations:
            layer.finalize_state()
        try:
            yield
        finally:
            for layer, (mean, variance) in zip(self._normalizations, before, strict=True):
                layer.mean, layer.variance = mean, variance

    def __call__(
        self,
        point: Sequence[Any],
        x: Any,
        *,
        state: Sequence[Any] | None = None,
        training: bool = False,
    ) -> Any:
        """Outputs of the model at `point` for the batch `x`."""
        return self.at(point, lambda: self.model(x, training=training), state=state)[0]


def adapted_normalizations(model: keras.Layer) -> list[keras.layers.Normalization]:
    """Layers that normalise by what they were adapted to, not by numbers that they were given.

    After their variables are set, `finalize_state` makes them compute with the new values.
    """
    return [
        layer
        for layer in layers_inside(model)
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None
    ]


def check_finite(point: Sequence[np.ndarray], space: WeightSpace, name: str) -> None:
    """Raise ValueError naming the first variable of `point` that holds NaN or infinity."""
    for array, variable in zip(point, space.variables, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(
                f"'{variable.path}' of the {name} model holds NaN or infinite weights: its "
                "training diverged or its file is damaged; connect a model with finite weights."
            )


def layers_inside(model: keras.Layer) -> Iterator[keras.Layer]:
    """A model, its layers, theirs, and so on."""
    return model._flatten_layers()


def _is_tensor_for(variable: keras.Variable, value: Any) -> bool:
    """Whether a value is a tensor of a variable's precision, as is in its place."""
    return isinstance(value, tf.Tensor) and value.dtype.name == variable.dtype


def _to_numpy(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))
