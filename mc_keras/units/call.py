"""What a rule sees of one call of a layer."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.places import Places, Role
from mc_keras.units.tensors import UnitTensor, along, combine, fixed, hold, varying

IN: Role = "in"
OUT: Role = "out"


class NoRule(Exception):
    """A layer whose effect on hidden units is not known."""


class Call:
    """One call of a layer or `keras.ops` operation on symbolic tensors.

    A rule is a function `rule(call) -> UnitTensor` (a list of them where the layer has several
    outputs). It says through `call` which axes of the layer's weights the units of the inputs and
    outputs act on, and returns the outputs. Shapes of the result need not be right, only its
    factors.

    Attributes:
        op: The layer or operation.
        path: Its name, after the names of the nested models that hold it.
        args: Positional arguments of the call, tensors replaced by `UnitTensor`s.
        kwargs: Keyword arguments of the call, likewise.
        shapes: Shapes of the outputs.
        places: The book of places.
    """

    def __init__(
        self,
        op: keras.Operation,
        path: str,
        args: tuple,
        kwargs: dict,
        shapes: list[tuple],
        places: Places,
        evaluate: Callable[..., Any],
    ):
        self.op, self.path, self.args, self.kwargs = op, path, args, kwargs
        self.shapes, self.places, self._evaluate = shapes, places, evaluate

    @property
    def inputs(self) -> list[UnitTensor]:
        """All tensors among the arguments."""
        flat = keras.tree.flatten((self.args, self.kwargs))
        return [value for value in flat if isinstance(value, UnitTensor)]

    @property
    def input(self) -> UnitTensor:
        """The first tensor among the arguments."""
        return self.inputs[0]

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument that may be given by name or by position."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def weight(self, variable: Any, roles: Mapping[int, Role]) -> UnitTensor:
        """A weight as a tensor with one axis for each axis named in `roles`, others left out.

        Args:
            variable: The Keras variable.
            roles: For each axis, `IN` where the weight makes or scales units and `OUT` where it
                reads them. `{0: OUT, 1: IN}` is the kernel of a dense layer.
        """
        rank = len(roles)
        factors = []
        for position, (axis, role) in enumerate(roles.items()):
            found = self.weight_places(variable, axis, role)
            shape = [-1 if i == position else 1 for i in range(rank)]
            if found.size > 1:
                factors.append(found.reshape(shape))
        return UnitTensor(tuple(variable.shape[axis] for axis in roles), tuple(factors))

    def weight_places(
        self, variable: Any, axis: int, role: Role, *, level: str = "", merged: int = 1
    ) -> NDArray[np.int64]:
        """The places along an axis of a weight; see `Places.weight`."""
        if not isinstance(variable, keras.Variable):
            raise self.unsupported("its weights are quantized or have low-rank updates (LoRA)")
        return self.places.weight(variable, axis, role, self.path, level=level, merged=merged)

    def scale(self, tensor: UnitTensor, variable: Any, axes: list[int]) -> UnitTensor:
        """`tensor` after scaling or shifting by a weight whose axis `i` lies along `axes[i]`.

        `variable` may be `None`: then nothing happens.
        """
        if variable is None:
            return tensor
        rank = len(tensor.shape)
        weight = self.weight(variable, {i: IN for i in range(len(axes))})
        order = [axis % rank for axis in axes]
        sizes = dict(zip(order, weight.shape, strict=True))
        shape = tuple(sizes.get(axis, 1) for axis in range(rank))
        missing = tuple(axis for axis in range(rank) if axis not in order)
        factors = tuple(
            np.expand_dims(f.transpose(np.argsort(order)), missing) for f in weight.factors
        )
        return combine(self.places, tensor, UnitTensor(shape, factors))

    def units_along(self, tensor: UnitTensor, axis: int) -> NDArray[np.int64]:
        """The places along one axis of a tensor, units that vary along other axes too held still.

        Fixed places where the tensor has no units along the axis.
        """
        axis %= len(tensor.shape)
        found = tensor.touching([axis])
        if len(found) == 1 and varying(found[0]) == [axis]:
            return found[0].ravel()
        hold(self.places, tensor, [axis])
        return fixed(self.places, tensor.shape[axis] or 1)

    def with_units(self, rank: int, axis: int, units: NDArray[np.int64]) -> UnitTensor:
        """A tensor of `rank` axes whose units lie along one of them."""
        vector = UnitTensor((units.size,), (units,) if units.size > 1 else ())
        return along(axis, vector, rank)

    def apply(self, op: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs of another layer, by its own rule: for layers made of layers."""
        return self._evaluate(op, f"{self.path}/{op.name}", args, kwargs)

    def unsupported(self, reason: str) -> NoRule:
        """The exception to raise where the rule does not cover this call."""
        return NoRule(reason)
