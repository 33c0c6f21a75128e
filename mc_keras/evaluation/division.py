"""A model divided where many points can share work.

    outputs = above(activation(linear(below(prefix(x))) + bias))

`prefix` has no weights of the path: it is computed once for all. `below` has weights, but they
are the same at every point of a family. `linear` is the linear map of the first layer that moves:
where its kernel is `sum(c[k](t) * kernel[k])`, its result is `sum(c[k](t) * linear(x, kernel[k]))`,
so that a few products serve any number of points.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from mc_keras.units.graph import called
from mc_keras.weight_space import WeightSpace

_LINEAR_LAYERS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv3D)
_DENSE = (
    keras.layers.InputLayer,
    keras.layers.Activation,
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Flatten,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Reshape,
    keras.layers.Softmax,
)


class Division(NamedTuple):
    """Where a model is divided, as positions in `model.layers`; it holds for copies as well.

    Attributes:
        start: Layer before which `prefix` ends; `None`: no prefix.
        layer: Layer before which `below` ends; `None`: there is no `below`, and `above` is all.
        linear: Whether the linear map of `layer` is taken out of it.
    """

    start: int | None = None
    layer: int | None = None
    linear: bool = False


class DividedModel:
    """The parts of one model as functions of weights and data.

    Args:
        space: Weight space of the model.
        division: Where to divide it.

    Raises:
        ValueError: If the outputs cannot be computed from there alone (a connection goes around).
    """

    def __init__(self, space: WeightSpace, division: Division):
        self._space = space
        model = space.model
        begin = None if division.start is None else model.layers[division.start].input
        cut = begin
        self._below: Callable[[Any], Any] | None = None
        if division.layer is not None:
            self._layer = model.layers[division.layer]
            cut = self._layer.input
            if cut is not begin:
                self._below = _Inference(begin, cut)
        if division.linear:
            cut = self._layer.output
        self._prefix = None
        if begin is not None:
            self._prefix = _Inference(model.inputs[0], begin)
        self._above: Callable[[Any], Any] = lambda x: model(x, training=False)
        self._operations = list(model.layers)
        if cut is not None:
            self._above = above = _Inference(cut, model.outputs[0])
            self._operations = above.operations
        tensors = [operation.output for operation in self._operations]
        self._widths = [_width(tensor) for tensor in ([] if cut is None else [cut]) + tensors]

    @property
    def num_values(self) -> int:
        """Numbers computed for each example after the last division."""
        return sum(self._widths)

    @property
    def largest_width(self) -> int:
        """Most numbers for each example in one tensor after the last division."""
        return max(self._widths)

    @property
    def is_dense(self) -> bool:
        """Whether what comes after the last division is products and elementwise only.

        XLA fuses that well; its convolutions on a CPU are ten times slower than TensorFlow's own.
        """
        return all(isinstance(operation, _DENSE) for operation in self._operations)

    def prefix(self, state: Sequence[Any], x: Any) -> Any:
        """What comes before all weights of the path, for a batch of inputs."""
        prefix = self._prefix
        if prefix is None:
            return x
        x = keras.ops.cast(x, self._space.model.inputs[0].dtype)
        unread = [variable.value for variable in self._space.variables]
        return self._space.at(unread, lambda: prefix(x), state=state)[0]

    def below(self, point: Sequence[Any], state: Sequence[Any], x: Any) -> Any:
        """From the end of `prefix` to the input of the divided layer."""
        below = self._below
        if below is None:
            return x
        return self._space.at(point, lambda: below(x), state=state)[0]

    def products(self, features: Any, kernels: Sequence[Any]) -> list[Any]:
        """Linear map of the divided layer with each of some kernels."""
        linear = getattr(self._layer, "convolution_op", keras.ops.matmul)
        features = keras.ops.cast(features, self._layer.compute_dtype)
        return [linear(features, kernel) for kernel in kernels]

    def after_product(
        self, point: Sequence[Any], state: Sequence[Any], product: Any, bias: Any
    ) -> tuple[Any, list[Any]]:
        """Outputs and new state from the result of the linear map; `bias` may be `None`."""
        total = product if bias is None else product + bias
        # An activation may be a layer with weights.
        return self._space.at(
            point, lambda: self._above(self._layer.activation(total)), state=state
        )

    def after_input(
        self, point: Sequence[Any], state: Sequence[Any], features: Any
    ) -> tuple[Any, list[Any]]:
        """Outputs and new state from where the last part begins."""
        return self._space.at(point, lambda: self._above(features), state=state)


class _Inference(keras.Function):
    """A part of a model whose layers are told that it is not training.

    The calls of the graph remember a layer's own default, which may be `training=True`.
    """

    def call(self, inputs: Any) -> Any:
        return self._run_through_graph(
            inputs, lambda op: lambda *args, **kwargs: called(op, args, kwargs)
        )


def divide(space: WeightSpace, moving: Sequence[bool], fixed_states: Sequence[bool]) -> Division:
    """The division for points at which only the `moving` variables differ; `linear` is not set.

    Args:
        space: Weight space of the model.
        moving: Whether each variable of `space` differs between the points.
        fixed_states: Whether each state variable is the same at all points of the evaluation.
    """
    model = space.model
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        return Division()  # a model with a `call` of its own has no graph to divide
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return Division()
    on_path = {id(v) for v in space.variables}
    varying = {id(v) for v, f in zip(space.state_variables, fixed_states, strict=True) if not f}
    start = _first_owner(model, on_path | varying)
    if start is None or not _divides(model, start, on_path | varying):
        return Division()
    movers = {id(v) for v, m in zip(space.variables, moving, strict=True) if m} | varying
    layer = _first_owner(model, movers)
    if layer is None or not _divides(model, layer, movers):
        layer = start
    return Division(start, layer)


def kernel_and_bias(space: WeightSpace, layer: int) -> tuple[int | None, int | None]:
    """Positions of kernel and bias among the variables, if the layer is linear before its bias.

    `(None, None)` if it is not, or its kernel is applied more than once, or it computes in half
    precision: there the kernel of a point is rounded, and a combination of products would not be.
    """
    owner = space.model.layers[layer]
    if (
        type(owner) not in _LINEAR_LAYERS
        or not _applied_once(space.model, owner)
        or not owner.compute_dtype == owner.variable_dtype in ("float32", "float64")
        or getattr(owner, "quantization_mode", None)
        or getattr(owner, "lora_enabled", False)
        or getattr(owner, "data_format", "channels_last") != "channels_last"
    ):
        return None, None
    position = {id(v): i for i, v in enumerate(space.variables)}
    bias = position[id(owner.bias)] if owner.use_bias else None
    return position[id(owner.kernel)], bias


def fan_in(kernel_shape: Sequence[int]) -> int:
    """Number of terms in the sums of a product with this kernel."""
    return math.prod(kernel_shape[:-1])


def _width(tensors: Any) -> int:
    """Numbers for each example; what is not known until the data come counts as one."""
    shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(tensors)]
    return sum(math.prod(size or 1 for size in shape) for shape in shapes)


def _first_owner(model: keras.Model, variables: set[int]) -> int | None:
    """Position of the first layer that has one of the variables."""
    for index, layer in enumerate(model.layers):
        if any(id(v) in variables for v in layer.weights):
            return index
    return None


def _divides(model: keras.Model, index: int, variables: set[int]) -> bool:
    """Whether all there is before the input of a layer is in it, and uses none of the variables."""
    layer = model.layers[index]
    if isinstance(layer, keras.Model):  # its `input` is a tensor of its own graph
        return False
    try:
        cut = layer.input
        before = keras.Function(model.inputs[0], cut)
    except (ValueError, AttributeError):  # used more than once, or with several inputs
        return False
    if not isinstance(cut, keras.KerasTensor):  # several tensors, or one in several places
        return False
    # A mask travels beside the tensor and would be lost at a cut.
    if getattr(cut, "_keras_mask", None) is not None or _operations_after(model, cut) is None:
        return False
    owned = [v for operation in before.operations for v in getattr(operation, "weights", [])]
    return not any(id(v) in variables for v in owned)


def _applied_once(model: keras.Model, layer: Any) -> bool:
    """Whether the outputs follow from those of `layer` alone, without its kernel."""
    after = _operations_after(model, layer.output)
    if after is None:
        return False
    weights = [v for operation in after for v in getattr(operation, "weights", [])]
    return not any(v is layer.kernel for v in weights)


def _operations_after(model: keras.Model, cut: Any) -> list[Any] | None:
    """What computes the outputs from the tensor `cut`; `None` if it takes more than that tensor."""
    try:
        return keras.Function(cut, model.outputs[0]).operations
    except ValueError:
        return None
