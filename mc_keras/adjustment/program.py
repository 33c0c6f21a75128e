"""The graph of a model as one list of calls, nested models opened."""

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from mc_keras.adjustment.linear_layers import LinearLayer, is_linear
from mc_keras.batch_norm import has_batch_norm
from mc_keras.units.graph import called, interpret, is_graph
from mc_keras.weight_space import WeightSpace

# Layers that give what they are given where nothing is trained.
_AT_REST = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)
_OTHERWISE = "Use 'linear', 'arc', 'ot' or a trained curve such as 'bezier'."


@dataclasses.dataclass(frozen=True)
class Slot:
    """Stands for a tensor of the graph among the arguments of a call."""

    number: int


@dataclasses.dataclass(frozen=True, eq=False)
class ProgramCall:
    """One call of a layer or operation.

    Attributes:
        op: The layer or operation.
        path: Its name, after the names of the nested models that hold it.
        args: Positional arguments, tensors replaced by slots.
        kwargs: Keyword arguments, likewise.
        outputs: Slots of the outputs.
        inputs: Numbers of the slots among the arguments.
        shape: Shape of the first input without the batch axis.
    """

    op: Any
    path: str
    args: tuple
    kwargs: dict[str, Any]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    shape: tuple[int | None, ...]

    @property
    def weights(self) -> list[keras.Variable]:
        """All variables of the layer."""
        return self.op.weights if isinstance(self.op, keras.Layer) else []


class Program:
    """The calls of a model in topological order, heads and what lies behind them late.

    Args:
        model: A built Sequential or Functional model with one input and one output.
        shape: Shape of an example that it is given, where the model leaves sizes open.

    Attributes:
        calls: The calls.
        input: Number of the slot of the input.
        output: Number of the slot of the output.
        linear: Numbers of the calls of layers that can be solved for.
        shared: Numbers of the calls whose weights other calls have too. They are not solved for.
        heads: Numbers of the linear calls that no other linear call comes behind. They are the last
            of `linear`.
        dtype: Of the input.
        last_use: For each slot the number of the last call that reads it; a number after all for
            the output.

    Raises:
        TypeError: If the model has no graph.
        ValueError: If it has several inputs or outputs, or a layer gives a mask, or an array whose
            first axis is not that of the examples.
    """

    def __init__(self, model: keras.Model, shape: Sequence[int] | None = None):
        if not is_graph(model):
            raise TypeError(
                f"Weights are adjusted along the graph of a Sequential or Functional model, "
                f"received a {type(model).__name__} named '{model.name}': wrap it as "
                "keras.Model(inputs, model(inputs))."
            )
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ValueError(
                f"Weights are adjusted in networks with one input and one output tensor, received "
                f"'{model.name}' with {len(model.inputs)} inputs and {len(model.outputs)} outputs."
            )
        self._name = model.name
        self.dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
        self.calls: list[ProgramCall] = []
        given = model.inputs[0]
        self._tensors = {0: given}
        if shape is not None and tuple(shape) != given.shape[1:]:
            self._tensors[0] = keras.KerasTensor((None, *shape), given.dtype)
        self.input = 0
        (result,) = interpret(model, [Slot(0)], self._record)
        self.output = result.number
        self.calls = self._with_norms_close()
        uses = collections.Counter(id(v) for call in self.calls for v in call.weights)
        shared = {call for call in self.calls if any(uses[id(v)] > 1 for v in call.weights)}
        linear = {call for call in self.calls if call not in shared and is_linear(call.op)}
        heads = self._heads(linear)
        self.calls = self._with_late(heads)
        self.shared, self.linear, self.heads = (
            [number for number, call in enumerate(self.calls) if call in chosen]
            for chosen in (shared, linear, heads)
        )
        self.last_use = {
            number: position for position, call in enumerate(self.calls) for number in call.inputs
        } | {self.output: len(self.calls)}

    def _record(
        self, op: Any, args: tuple, kwargs: dict, outputs: Sequence[Any], path: str
    ) -> list[Slot]:
        if any(getattr(tensor, "_keras_mask", None) is not None for tensor in outputs):
            raise ValueError(
                f"The layer '{path}' gives a mask, which weights are not adjusted with. "
                f"{_OTHERWISE}"
            )
        flat = keras.tree.flatten((args, kwargs))
        inputs = tuple(value.number for value in flat if isinstance(value, Slot))
        if _leaves_open(outputs):
            outputs = self._outputs(op, args, kwargs)
        for tensor in outputs:
            if tensor.shape[:1] not in ((None,), (1,)):
                raise ValueError(no_examples(path, tensor.shape))
        first = len(self._tensors)
        numbers = tuple(range(first, first + len(outputs)))
        self._tensors |= dict(zip(numbers, outputs, strict=True))
        shape = self._shape(inputs[0]) if inputs else ()
        self.calls.append(ProgramCall(op, path, args, kwargs, numbers, inputs, shape))
        return [Slot(number) for number in numbers]

    def _outputs(self, op: Any, args: tuple, kwargs: dict) -> list[Any]:
        """The outputs of a call at the sizes given here, which a nested model may leave open."""

        def fill(argument: Any) -> Any:
            return self._tensors[argument.number] if isinstance(argument, Slot) else argument

        args, kwargs = keras.tree.map_structure(fill, (args, kwargs))
        outputs = keras.tree.flatten(op.compute_output_spec(*args, **kwargs))
        if _leaves_open(outputs) and not _leaves_open(keras.tree.flatten((args, kwargs))):
            # What a layer says of itself may leave open what its inputs settle.
            return _traced(op, args, kwargs)
        return outputs

    def _shape(self, slot: int) -> tuple[int | None, ...]:
        """Shape of one example in a slot."""
        return tuple(self._tensors[slot].shape[1:])

    def _heads(self, linear: set[ProgramCall]) -> set[ProgramCall]:
        heads, leads_on = set(), set[int]()
        for call in reversed(self.calls):
            if call in linear and not leads_on & set(call.outputs):
                heads.add(call)
            if call in linear or leads_on & set(call.outputs):
                leads_on |= set(call.inputs)
        return heads

    def _with_norms_close(self) -> list[ProgramCall]:
        """The calls, each batch norm at once behind the linear layer that it reads.

        Keras sorts calls by depth: of two branches first both layers, then both batch norms.
        """
        makers = {slot: call for call in self.calls for slot in call.outputs}
        behind = collections.defaultdict[ProgramCall, list[ProgramCall]](list)
        for call in self.calls:
            maker = makers.get(call.inputs[0]) if len(call.inputs) == 1 else None
            if maker and is_linear(maker.op) and _is_batch_norm(call.op):
                behind[maker].append(call)
        moved = {call for calls in behind.values() for call in calls}
        return [n for call in self.calls if call not in moved for n in (call, *behind[call])]

    def _with_late(self, heads: set[ProgramCall]) -> list[ProgramCall]:
        """The calls up to the last head, the heads and what lies behind them last; then the rest.

        So heads come one after the other, whatever branches they end.
        """
        last = max((n for n, call in enumerate(self.calls) if call in heads), default=-1)
        early, late, behind = list[ProgramCall](), list[ProgramCall](), set[int]()
        for call in self.calls[: last + 1]:
            if call in heads or behind & set(call.inputs):
                late.append(call)
                behind |= set(call.outputs)
            else:
                early.append(call)
        return [*early, *late, *self.calls[last + 1 :]]

    def check_solvable(self) -> None:
        """Check that there are layers to solve for.

        Raises:
            ValueError: If there is no linear layer with weights of its own, or one takes inputs
                whose size is not known.
        """
        if not self.linear:
            raise ValueError(
                f"The model '{self._name}' has no Dense or convolution layer whose weights could "
                f"be solved for. {_OTHERWISE}"
            )
        for number in self.linear:
            call = self.calls[number]
            # What the network's own input leaves open the data will tell.
            if None in call.shape and None not in self._shape(self.input):
                raise ValueError(
                    f"The layer '{call.path}' takes inputs of shape {call.shape}, whose size "
                    f"depends on the values of what the network is given. {_OTHERWISE}"
                )

    def linear_layers(
        self, space: WeightSpace, num_positions: int, seed: int
    ) -> dict[int, LinearLayer]:
        """The layers that can be solved for, by the numbers of their calls; sizes must be known.

        Args:
            space: Weight space of the model.
            num_positions: Most output positions of a convolution that are used of each example.
            seed: Of the choice of positions.
        """
        variables = {id(v): i for i, v in enumerate(space.variables)}
        rng = np.random.default_rng(seed)
        return {
            number: LinearLayer(call.op, variables, cast(Any, call.shape), num_positions, rng)
            for number in self.linear
            for call in [self.calls[number]]
        }

    def check_stepwise(self) -> None:
        """Check that layers can be taken one after the other.

        Raises:
            ValueError: If a layer with weights is called twice, or no layer can be solved for.
        """
        if self.shared:
            raise ValueError(
                f"The layer '{self.calls[max(self.shared)].path}' is called more than once, or "
                "shares weights with another: layers are taken one after the other, each with its "
                "own weights. Use 'best', which takes them all at once, 'ot' or a trained curve "
                "such as 'bezier'."
            )
        self.check_solvable()

    @property
    def steps(self) -> list[list[int]]:
        """Numbers of linear calls whose layers move at once: one at a time, then all heads."""
        hidden = [[number] for number in self.linear if number not in self.heads]
        return [*hidden, self.heads] if self.heads else hidden

    def step_of(self, number: int) -> int:
        """Which of the steps a call moves with: that of the linear call before it, or the first."""
        step = bisect.bisect_right(self.linear, number) - 1
        return min(max(step, 0), len(self.linear) - len(self.heads))

    def beside(self, number: int) -> tuple[int, ...]:
        """Slots that the outputs of a linear call are added to before anything else reads them.

        The batch norm behind it, see `norm_behind`, and layers that are at rest, such as dropout,
        may stand between. None where one of them is not there yet when the call is made, or is not
        of its shape.
        """
        call = self.calls[number]
        if call.op.activation is not keras.activations.linear:
            return ()
        norm = self.norm_behind(number)
        (output,) = call.outputs if norm is None else self.calls[norm].outputs
        while (reader := self._only_reader(output)) and isinstance(reader.op, _AT_REST):
            (output,) = reader.outputs
        if reader is None or not _is_sum(reader.op):
            return ()
        others = tuple(slot for slot in reader.inputs if slot != output)
        there = {self.input, *(slot for made in self.calls[:number] for slot in made.outputs)}
        alike = all(self._shape(slot) == self._shape(output) for slot in others)
        return others if alike and there.issuperset(others) else ()

    def norm_behind(self, number: int) -> int | None:
        """Number of the batch norm, the next call, that alone reads the channels of a linear call.

        None where it has no scale or no offset, or its statistics are not measured.
        """
        call = self.calls[number]
        reader = self._only_reader(call.outputs[0])
        if reader is None or not _is_batch_norm(reader.op):
            return None
        norm = self.calls.index(reader)
        channels_first = getattr(call.op, "data_format", None) == "channels_first"
        rank = len(call.shape) + 1
        channels = 1 if channels_first else rank - 1
        free = reader.op.scale and reader.op.center and reader.op.axis % rank == channels
        linear = call.op.activation is keras.activations.linear
        return norm if free and linear and self.measures(norm) else None

    def _only_reader(self, slot: int) -> ProgramCall | None:
        """The call that alone reads a slot."""
        readers = [call for call in self.calls if slot in call.inputs]
        return readers[0] if len(readers) == 1 and slot != self.output else None

    def measures(self, number: int) -> bool:
        """Whether a call is one of a batch-norm layer whose statistics a walk can measure.

        Frozen ones keep what they have; of those that are called more than once, one call has not
        seen what the others are given.
        """
        op = self.calls[number].op
        return _is_batch_norm(op) and op.trainable and number not in self.shared

    def norms_apart(self) -> bool:
        """Whether there is batch norm that a walk cannot measure: shared, or in other layers."""
        return any(
            isinstance(call.op, keras.Layer) and has_batch_norm(call.op) and not self.measures(n)
            for n, call in enumerate(self.calls)
        )

    def live(self, position: int) -> list[int]:
        """Slots that are there before a call and read by it or later ones, but for the input."""
        return [
            number
            for call in self.calls[:position]
            for number in call.outputs
            if self.last_use.get(number, -1) >= position
        ]

    def size(self, slots: Iterable[int]) -> int:
        """How many numbers one example has in some slots."""
        return sum(_size(self._shape(number)) for number in slots)

    def most_held(self) -> int:
        """Most numbers of one example that are held at once, on the way from one place to the next.

        Places are linear layers and batch norm, whose statistics may be measured.
        """
        places = [
            number
            for number, call in enumerate(self.calls)
            if number in self.linear or _is_batch_norm(call.op)
        ]
        held = [set(self.live(place)) for place in places]
        return max((self.size(a | b) for a, b in itertools.pairwise([set(), *held])), default=0)


def _leaves_open(tensors: Iterable[Any]) -> bool:
    """Whether the size of an example is not known of one of some tensors, among other things."""
    symbols = (tensor for tensor in tensors if isinstance(tensor, keras.KerasTensor))
    return any(None in symbol.shape[1:] for symbol in symbols)


def _traced(op: Any, args: tuple, kwargs: dict[str, Any]) -> list[keras.KerasTensor]:
    """The outputs of a call as TensorFlow sees them in a graph."""
    specs = [
        tf.TensorSpec(leaf.shape, leaf.dtype)
        for leaf in keras.tree.flatten((args, kwargs))
        if isinstance(leaf, keras.KerasTensor)
    ]

    def call(*tensors: Any) -> Any:
        left = iter(tensors)

        def fill(leaf: Any) -> Any:
            return next(left) if isinstance(leaf, keras.KerasTensor) else leaf

        filled = keras.tree.map_structure(fill, (args, kwargs))
        return keras.tree.flatten(called(op, *filled))

    outputs = tf.function(call, autograph=False).get_concrete_function(*specs).structured_outputs
    return [keras.KerasTensor(tuple(output.shape), output.dtype.name) for output in outputs]


def no_examples(path: str, shape: Sequence[int | None]) -> str:
    """What an error says of an array whose first axis is not that of the examples."""
    return (
        f"The layer '{path}' gives an array of shape {tuple(shape)}, whose first axis is not that "
        f"of the examples, which weights are not adjusted with. {_OTHERWISE}"
    )


def _is_batch_norm(op: Any) -> bool:
    return isinstance(op, keras.layers.BatchNormalization)


def _is_sum(op: Any) -> bool:
    # The operation of `keras.ops.add` and `+` is of a class that Keras keeps private.
    is_operation = not isinstance(op, keras.Layer) and type(op).__name__ == "Add"
    return is_operation or isinstance(op, keras.layers.Add)


def is_adjustable(model: keras.Model) -> bool:
    """Whether there are weights of a model that can be solved for, all layers at once."""
    return _passes(Program.check_solvable, model)


def is_stepwise(model: keras.Model) -> bool:
    """Whether the layers of a model can be taken one after the other, the others solved for."""
    return _passes(Program.check_stepwise, model)


def _passes(check: Callable[[Program], None], model: keras.Model) -> bool:
    try:
        check(Program(model))
    except (TypeError, ValueError):
        return False
    return True


def _size(shape: tuple[int | None, ...]) -> int:
    size = 1
    for length in shape:
        size *= length or 1
    return size
