"""Networks at several points of weight space, run over all examples in blocks, call by call."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.kept_blocks import KeptBlocks, room_for_files
from mc_keras.adjustment.linear_layers import LinearLayer, is_linear
from mc_keras.adjustment.program import Program, ProgramCall, Slot, no_examples
from mc_keras.adjustment.shared_memory import empty, tensor_of
from mc_keras.data import subset
from mc_keras.units.graph import called
from mc_keras.user_warning import warn_user
from mc_keras.weight_space import WeightSpace

# Examples that go through a layer at once.
BATCH = 500
# Bytes of activations that are held, in all networks together.
BYTES = 4 * 2**30

# Arrays, or tensors where TensorFlow has made them.
Values = dict[int, Any]
# A point and its state.
Weights = tuple[Sequence[Any], Sequence[Any]]


class Network:
    """A network at one point: its weights, its state, and how far it has been run.

    Running it does no work: calls wait until something is asked for, and are then made block by
    block, from the activations that are held. `settle` holds those at the place that was reached,
    in memory if they fit, else in a temporary file, if there is room for it; where there is none,
    the calls since the last such place are made again for every question. So memory does not grow
    with the number of examples.

    Args:
        program: The calls of the architecture.
        space: Weight space of the architecture.
        point: Arrays aligned with `space.variables`.
        state: Arrays aligned with `space.state_variables`.
        values: Activations of all examples, by slot; the input among them.
        limit: Bytes that may be held in memory.
    """

    def __init__(
        self,
        program: Program,
        space: WeightSpace,
        point: Sequence[Any],
        state: Sequence[Any],
        values: Mapping[int, NDArray | KeptBlocks],
        limit: int = BYTES,
    ):
        self.program = program
        self.space = space
        self.point = [keras.ops.convert_to_tensor(array) for array in point]
        self.state = [keras.ops.convert_to_tensor(array) for array in state]
        self.values = dict(values)
        self._input = values[program.input]
        self.limit = limit
        self.waiting: list[ProgramCall] = []
        # Numbers of the state variables that were measured on the way.
        self.measured: set[int] = set()
        # Activations of blocks, by slot, that come from elsewhere.
        self.given: dict[int, Callable[[slice], Any]] = {}

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return len(self._input)

    def at(self, point: Sequence[Any], state: Sequence[Any]) -> "Network":
        """A network run as far as this one, with other weights for the calls to come.

        What this one has measured holds for the calls before, which may not be made yet.
        """
        other = Network(self.program, self.space, point, state, self.values, self.limit)
        other.measured = set(self.measured)
        for number in self.measured:
            other.state[number] = self.state[number]
        other.waiting, other.given = list(self.waiting), dict(self.given)
        return other

    def set(self, variable: int, array: NDArray) -> None:
        """Change one variable."""
        self.point[variable] = keras.ops.convert_to_tensor(
            array, dtype=self.space.variables[variable].dtype
        )

    def run(self, position: int) -> None:
        """Pass a call; its weights must not change after this.

        Batch-norm layers first measure their statistics, over all examples, see `Program.measures`.

        Args:
            position: Number of the call.
        """
        if self.program.measures(position):
            self.settle(position)
            self.measure(position)
        self.waiting.append(self.program.calls[position])

    def settle(self, position: int) -> None:
        """Hold what calls from `position` on will read, and the input."""
        if not (self.waiting or self.given):
            return
        live = self.program.live(position)
        kept = {self.program.input, *live}
        ready = {n: array for n, array in self.values.items() if n in kept}
        missing = [n for n in live if n not in ready]
        if 4 * self.program.size(live) * self.num_examples <= self.limit:
            held = self._in_blocks(lambda part: self.block(part, missing), missing)
        elif self._is_worth_a_file(missing):
            # The input is held once for all networks.
            taken = sum(array.nbytes for n, array in ready.items() if n != self.program.input)
            left = max(self.limit - taken, 0)
            held = {n: KeptBlocks([], left // len(missing)) for n in missing}
            for part in blocks(self.num_examples):
                values = self.block(part, missing)
                for n in missing:
                    held[n].append(np.asarray(values[n]))
        else:
            return
        self.values, self.waiting, self.given = ready | held, [], {}

    def _is_worth_a_file(self, slots: Sequence[int]) -> bool:
        """Whether activations that do not fit into memory are better held than made again."""
        size = 4 * self.program.size(slots) * self.num_examples
        return any(is_linear(call.op) for call in self.waiting) and size <= room_for_files()

    def block(self, part: slice, wanted: Sequence[int]) -> Values:
        """Activations of a block of examples, by slot; those wanted, and those on the way."""
        known = self.values.keys() | self.given.keys()
        used, calls = set(wanted), []
        needed = used - known
        for call in reversed(self.waiting):
            if needed & set(call.outputs):
                calls.append(call)
                used |= set(call.inputs)
                needed = (needed - set(call.outputs)) | (set(call.inputs) - known)
        values = {n: _part_of(held, part) for n, held in self.values.items() if n in used}
        values |= {n: block(part) for n, block in self.given.items() if n in used}
        if (input_slot := self.program.input) in values and self.program.dtype != "string":
            # As Keras casts inputs: bytes would wrap around in the first operation.
            values[input_slot] = values[input_slot].astype(self.program.dtype, copy=False)
        for call in reversed(calls):
            outputs = keras.tree.flatten(self._outputs(call, values))
            size = min(part.stop, self.num_examples) - part.start
            for output in outputs:
                if output.shape[:1] not in ((size,), (1,)):
                    raise ValueError(no_examples(call.path, output.shape))
            values.update(zip(call.outputs, outputs, strict=True))
        return values

    def value(self, slot: int) -> NDArray:
        """Activations of all examples."""
        return self._in_blocks(lambda part: self.block(part, [slot]), [slot])[slot]

    def features(
        self, layer: LinearLayer, call: ProgramCall, beside: Sequence[int] = ()
    ) -> Iterator[tuple[NDArray, NDArray | float]]:
        """What a linear layer reads and the sum of what stands beside it, in rows, by blocks."""
        for part in blocks(self.num_examples):
            values = self.block(part, [*call.inputs, *beside])
            features = layer.features(values[call.inputs[0]], part.start)
            yield features, _total(layer, values, beside, part)

    def rows(
        self, layer: LinearLayer, call: ProgramCall, beside: Sequence[int] = ()
    ) -> Iterator[NDArray]:
        """What the activation of a linear layer is given, in rows, block by block.

        Args:
            layer: The layer.
            call: Its call.
            beside: Slots that are added.
        """
        bias = None if layer.bias is None else self.point[layer.bias]
        for part in blocks(self.num_examples):
            values = self.block(part, [*call.inputs, *beside])
            given = layer.linear(tensor_of(values[call.inputs[0]]), self.point[layer.kernel], bias)
            yield layer.targets(given, part.start) + _total(layer, values, beside, part)

    def sums(self, layer: LinearLayer, slots: Sequence[int]) -> Iterator[NDArray]:
        """The sum of slots that are shaped as the outputs of a layer, in rows, block by block."""
        for part in blocks(self.num_examples):
            total = _total(layer, self.block(part, slots), slots, part)
            yield cast(NDArray, total)

    def linear(self, layer: LinearLayer, call: ProgramCall, kernel: Any) -> NDArray:
        """The same for all examples, with any kernel and no bias, as the layer shapes it."""
        kernel = keras.ops.convert_to_tensor(kernel, layer.dtype)

        def outputs(part: slice) -> Values:
            x = self.block(part, call.inputs)[call.inputs[0]]
            return {0: layer.linear(tensor_of(x), kernel, None)}

        return self._in_blocks(outputs, [0])[0]

    def pass_with(self, call: ProgramCall, before: Callable[[slice], NDArray]) -> None:
        """Pass a linear layer, given for any block what its activation is given."""

        def outputs(part: slice) -> Any:
            given = tensor_of(before(part))
            # An activation may be a layer with weights.
            return self._here(lambda: call.op.activation(given))

        self.given = {call.outputs[0]: outputs}

    def _in_blocks(self, function: Callable[[slice], Values], slots: Sequence[int]) -> Values:
        """Values of `function` for the blocks of all examples, in arrays that are written once."""
        whole: Values = {}
        for part in blocks(self.num_examples):
            values = function(part)
            for slot in slots:
                value = np.asarray(values[slot])
                if slot not in whole:
                    whole[slot] = empty((self.num_examples, *value.shape[1:]), value.dtype)
                whole[slot][part] = value
        return whole

    def _outputs(self, call: ProgramCall, values: Values) -> Any:
        def fill(argument: Any) -> Any:
            return tensor_of(values[argument.number]) if isinstance(argument, Slot) else argument

        args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
        return self._here(lambda: called(call.op, args, kwargs))

    def _here(self, compute: Callable[[], Any]) -> Any:
        return self.space.at(self.point, compute, state=self.state)[0]

    def measure(self, position: int) -> None:
        """Set the statistics of a batch-norm layer to the moments of what it reads.

        They are pooled over blocks in float64. Nothing is held: `run` passes a layer.

        Args:
            position: Number of the call.
        """
        call = self.program.calls[position]
        (slot,) = call.inputs
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for part in blocks(self.num_examples):
            x = tensor_of(self.block(part, [slot])[slot])
            # Squares overflow in half.
            x = keras.ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
            size, block_mean, within = _moments(x, call.op.axis)
            shift, total = block_mean - mean, count + size
            squares = squares + within + np.square(shift) * count * size / total
            mean = mean + shift * size / total
            count = total
        index = {id(v): i for i, v in enumerate(self.space.state_variables)}
        for variable, value in (
            (call.op.moving_mean, mean),
            (call.op.moving_variance, squares / count),
        ):
            number = index[id(variable)]
            self.state[number] = keras.ops.convert_to_tensor(value, variable.dtype)
            self.measured.add(number)


def _moments(x: Any, axis: int) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Number of values of each channel, their mean, and their squared distances from it, summed.

    Added up in the precision of `x` over the places of an example, and in float64 over examples.
    """
    axis %= len(x.shape)
    places = [n for n in range(1, len(x.shape)) if n != axis]
    size = math.prod(x.shape) // x.shape[axis]

    def total(values: Any) -> NDArray[np.float64]:
        return np.asarray(keras.ops.sum(values, places)).sum(0, dtype="float64")

    mean = total(x) / size
    shape = [-1 if n == axis else 1 for n in range(len(x.shape))]
    centred = x - keras.ops.convert_to_tensor(mean.reshape(shape), x.dtype)
    return size, mean, total(keras.ops.square(centred))


def _total(
    layer: LinearLayer, values: Values, slots: Sequence[int], part: slice
) -> NDArray | float:
    return sum(layer.targets(values[slot], part.start) for slot in slots)


def _part_of(held: NDArray | KeptBlocks, part: slice) -> NDArray:
    """One of the `blocks` of all examples."""
    return held[part.start // BATCH] if isinstance(held, KeptBlocks) else held[part]


def blocks(size: int) -> Iterator[slice]:
    """Slices of a batch each."""
    for begin in range(0, size, BATCH):
        yield slice(begin, begin + BATCH)


def mixture(products: Sequence[NDArray], coefficients: Sequence[float], bias: Any) -> NDArray:
    """`sum(c * product) + bias`: the outputs of a linear layer whose kernel is such a sum.

    Args:
        products: Outputs without bias for each control point of the kernel; a control point that is
            the same for all units has one column.
        coefficients: One number for each.
        bias: The bias, shaped to broadcast, or `None`.
    """
    whole = max(products, key=lambda product: product.size)
    total = empty(whole.shape, whole.dtype)
    total[...] = 0 if bias is None else np.asarray(bias)
    for product, c in zip(products, coefficients, strict=True):
        if c:
            total += product.dtype.type(c) * product
    return total


def num_affordable(program: Program, num_networks: int) -> int:
    """Examples whose activations can be held, for so many networks at once."""
    per_example = 4 * program.most_held() * num_networks
    return max(BATCH, BYTES // max(per_example, 1) // BATCH * BATCH)


def examples_of(program: Program, x: NDArray, num_examples: int | None, seed: int) -> NDArray:
    """The examples that layers are solved for on: so many, drawn at random.

    Not given, as many as can be held for three networks; if that leaves some out, a warning says
    so.
    """
    count = num_affordable(program, 3) if num_examples is None else num_examples
    if num_examples is None and count < len(x):
        warn_user(
            f"Layers are solved for on {count:,} of {len(x):,} examples, drawn at random, so that "
            f"their activations fit into {BYTES / 2**30:.0f} GiB. Pass num_examples={len(x)} for "
            "all of them in the same memory and a longer time, or num_examples of your choice."
        )
    return subset([x], count, seed)[0]


def same_weights(
    call: ProgramCall, space: WeightSpace, first: Weights, second: Weights, *, states: bool = True
) -> bool:
    """Whether a call has the very same weights at two points.

    Args:
        call: The call.
        space: Weight space of the architecture.
        first: A point and its state.
        second: Another.
        states: Whether its state must be the same too.
    """
    own = {id(v) for v in call.weights}
    kinds = (space.variables, space.state_variables)[: 2 if states else 1]
    return all(
        np.array_equal(np.asarray(mine[i]), np.asarray(theirs[i]))
        for variables, mine, theirs in zip(kinds, first, second, strict=False)
        for i, v in enumerate(variables)
        if id(v) in own
    )
