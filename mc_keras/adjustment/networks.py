"""Networks at several points of weight space, run call by call on all examples at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.adjustment.linear_layers import LinearLayer
from mc_keras.adjustment.program import Call, Program, Slot
from mc_keras.weight_space import WeightSpace

# Examples that go through a layer at once.
BATCH = 500
# Bytes of activations that may be held, those around one call in each network.
_BYTES = 4 * 2**30

Values = dict[int, NDArray]


class Network:
    """A network at one point: its weights, its state and its activations so far.

    Args:
        space: Weight space of the architecture.
        point: Arrays aligned with `space.variables`.
        state: Arrays aligned with `space.state_variables`.
        values: Activations of all examples, by slot.
    """

    def __init__(
        self, space: WeightSpace, point: Sequence[Any], state: Sequence[Any], values: Values
    ):
        self.space = space
        self.point = [keras.ops.convert_to_tensor(array) for array in point]
        self.state = [keras.ops.convert_to_tensor(array) for array in state]
        self.values = dict(values)

    def set(self, variable: int, array: NDArray) -> None:
        """Change one variable."""
        self.point[variable] = keras.ops.convert_to_tensor(
            array, dtype=self.space.variables[variable].dtype
        )

    def run(self, call: Call, *, measure: bool = False) -> None:
        """Compute the outputs of a call.

        Args:
            call: The call.
            measure: Whether batch-norm layers first measure their statistics, over all examples.
        """
        if measure and isinstance(call.op, keras.layers.BatchNormalization) and call.op.trainable:
            self._measure(call)
        size = max((len(self.values[n]) for n in call.inputs), default=1)
        outputs = _in_blocks(lambda part: keras.tree.flatten(self._outputs(call, part)), size)
        self.values.update(zip(call.outputs, outputs, strict=True))

    def linear(self, layer: LinearLayer, call: Call, kernel: Any, bias: Any) -> NDArray:
        """What the activation of a linear layer is given, with any kernel and bias."""
        x = self.values[call.inputs[0]]
        kernel = keras.ops.convert_to_tensor(kernel, "float32")
        bias = None if bias is None else keras.ops.convert_to_tensor(bias, "float32")
        return _in_blocks(lambda part: [layer.linear(x[part], kernel, bias)], len(x))[0]

    def own_linear(self, layer: LinearLayer, call: Call) -> NDArray:
        """The same with the network's own weights."""
        bias = None if layer.bias is None else self.point[layer.bias]
        return self.linear(layer, call, self.point[layer.kernel], bias)

    def activate(self, call: Call, before: NDArray) -> None:
        """Set the output of a linear layer from what its activation is given, which it replaces."""
        activation = call.op.activation
        if activation is not keras.activations.linear:
            for part in blocks(len(before)):
                before[part] = activation(before[part])
        self.values[call.outputs[0]] = before

    def forget(self, program: Program, position: int) -> None:
        """Drop the activations that no call after this one reads."""
        for number in [n for n in self.values if program.last_use.get(n, -1) <= position]:
            del self.values[number]

    def _outputs(self, call: Call, part: slice) -> Any:
        def fill(argument: Any) -> Any:
            return self.values[argument.number][part] if isinstance(argument, Slot) else argument

        args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
        if isinstance(call.op, keras.Layer):
            kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        return self.space.at(self.point, lambda: call.op(*args, **kwargs), state=self.state)[0]

    def _measure(self, call: Call) -> None:
        x = self.values[call.inputs[0]]
        axes = tuple(i for i in range(x.ndim) if i != call.op.axis % x.ndim)
        count = x.size / x.shape[call.op.axis]
        mean = sum(np.sum(x[p], axes, dtype="float64") for p in blocks(len(x))) / count
        shape = [-1 if i == call.op.axis % x.ndim else 1 for i in range(x.ndim)]
        shift = np.asarray(mean).reshape(shape).astype("float32")
        squares = sum(
            np.sum(np.square(x[p] - shift), axes, dtype="float64") for p in blocks(len(x))
        )
        index = {id(v): i for i, v in enumerate(self.space.state_variables)}
        for variable, value in (
            (call.op.moving_mean, mean),
            (call.op.moving_variance, squares / count),
        ):
            self.state[index[id(variable)]] = keras.ops.convert_to_tensor(value, variable.dtype)


def _in_blocks(function: Callable[[slice], Sequence[Any]], size: int) -> list[NDArray]:
    """The outputs of `function` for the blocks of a batch, in arrays that are written once."""
    if size <= BATCH:
        return [np.array(output) for output in function(slice(0, BATCH))]
    whole: list[NDArray] = []
    for part in blocks(size):
        outputs = [np.asarray(output) for output in function(part)]
        if not whole:
            whole = [np.empty((size, *output.shape[1:]), output.dtype) for output in outputs]
        for array, output in zip(whole, outputs, strict=True):
            array[part] = output
    return whole


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
    total = np.zeros_like(whole)
    for product, c in zip(products, coefficients, strict=True):
        for part in blocks(len(whole)):
            total[part] += np.float32(c) * product[part]
    if bias is not None:
        total += np.asarray(bias)
    return total


def num_affordable(program: Program, num_networks: int) -> int:
    """Examples whose activations fit into memory, for so many networks at once."""
    per_example = 4 * program.largest_shape() * num_networks
    return max(BATCH, _BYTES // per_example // BATCH * BATCH)


def same_inputs(call: Call, networks: Sequence[Network]) -> bool:
    """Whether a call reads the very same activations in all networks."""
    first, *others = networks
    return all(n.values[i] is first.values[i] for n in others for i in call.inputs)


def run_all(call: Call, networks: Sequence[Network], measured: Sequence[Network]) -> None:
    """A call in several networks; done once where inputs and weights are the same.

    Args:
        call: The call.
        networks: All networks.
        measured: Those whose batch-norm statistics are measured.
    """
    first, *others = networks
    if same_inputs(call, networks) and _same_weights(call, networks):
        first.run(call)
        for network in others:
            network.values.update({n: first.values[n] for n in call.outputs})
        return
    for network in networks:
        network.run(call, measure=any(network is m for m in measured))


def _same_weights(call: Call, networks: Sequence[Network]) -> bool:
    first, *others = networks
    if not call.weights:
        return True
    space = first.space
    wanted = {id(v) for v in call.weights}
    if any(id(v) in wanted for v in space.variables):
        return False
    chosen = [i for i, v in enumerate(space.state_variables) if id(v) in wanted]
    return all(
        np.array_equal(np.asarray(n.state[i]), np.asarray(first.state[i]))
        for n in others
        for i in chosen
    )
