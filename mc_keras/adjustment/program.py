"""The graph of a model as one list of calls, nested models opened."""

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from mc_keras.adjustment.linear_layers import is_linear
from mc_keras.units.graph import interpret, is_graph

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
    shape: tuple[int, ...]

    @property
    def weights(self) -> list[keras.Variable]:
        """All variables of the layer."""
        return self.op.weights if isinstance(self.op, keras.Layer) else []


class Program:
    """The calls of a model in topological order, heads and what lies behind them late.

    Args:
        model: A built Sequential or Functional model with one input and one output.

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
        ValueError: If it has several inputs or outputs, or a layer gives a mask.
    """

    def __init__(self, model: keras.Model):
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
        self._shapes = {0: tuple(model.inputs[0].shape[1:])}
        self.input = 0
        (result,) = interpret(model, [Slot(0)], self._record)
        self.output = result.number
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
        first = len(self._shapes)
        numbers = tuple(range(first, first + len(outputs)))
        self._shapes |= {n: tuple(t.shape[1:]) for n, t in zip(numbers, outputs, strict=True)}
        flat = keras.tree.flatten((args, kwargs))
        inputs = tuple(value.number for value in flat if isinstance(value, Slot))
        shape = self._shapes[inputs[0]] if inputs else ()
        self.calls.append(ProgramCall(op, path, args, kwargs, numbers, inputs, shape))
        return [Slot(number) for number in numbers]

    def _heads(self, linear: set[ProgramCall]) -> set[ProgramCall]:
        heads, leads_on = set(), set[int]()
        for call in reversed(self.calls):
            if call in linear and not leads_on & set(call.outputs):
                heads.add(call)
            if call in linear or leads_on & set(call.outputs):
                leads_on |= set(call.inputs)
        return heads

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
                whose size is not fixed.
        """
        if not self.linear:
            raise ValueError(
                f"The model '{self._name}' has no Dense or convolution layer whose weights could "
                f"be solved for. {_OTHERWISE}"
            )
        for number in self.linear:
            call = self.calls[number]
            if None in call.shape:
                raise ValueError(
                    f"The layer '{call.path}' takes inputs of shape {call.shape}, whose size is "
                    "not fixed; make the model again with a keras.Input of a fixed shape, give it "
                    f"the same weights, and solve for that. {_OTHERWISE}"
                )

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

        None where one of them is not there yet when the call is made, or is not of its shape.
        """
        call = self.calls[number]
        (output,) = call.outputs
        readers = [reader for reader in self.calls if output in reader.inputs]
        if call.op.activation is not keras.activations.linear or output == self.output:
            return ()
        if len(readers) != 1 or not _is_sum(readers[0].op):
            return ()
        others = tuple(slot for slot in readers[0].inputs if slot != output)
        there = {self.input, *(slot for made in self.calls[:number] for slot in made.outputs)}
        alike = all(self._shapes[slot] == self._shapes[output] for slot in others)
        return others if alike and there.issuperset(others) else ()

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
        return sum(_size(self._shapes[number]) for number in slots)

    def most_held(self) -> int:
        """Most numbers of one example that are held at once, on the way from one place to the next.

        Places are linear layers and batch norm, whose statistics may be measured.
        """
        places = [
            number
            for number, call in enumerate(self.calls)
            if number in self.linear or isinstance(call.op, keras.layers.BatchNormalization)
        ]
        held = [set(self.live(place)) for place in places]
        return max((self.size(a | b) for a, b in itertools.pairwise([set(), *held])), default=0)


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
