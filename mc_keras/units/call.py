"""What a rule sees of one call of a layer."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.places import Places, Role
from mc_keras.units.tensors import UnitTensor, along, combine, fixed, hold, lay, varying

IN: Role = "in"
OUT: Role = "out"


class NoRule(Exception):
    """A layer whose effect on hidden units is not known."""


class Call:
    """One call of a layer or `keras.ops` operation on symbolic tensors.

    A rule is a function `rule(call) -> UnitTensor` (a list of them where the layer has several
    outputs). It says through `call` which axes of the layer's weights the units of the inputs and
    outputs act on, and returns the outputs. Shapes of the result need not be right, only its
    factors. Units of tensors that the rule does not read, such as masks, hold still.

    Attributes:
        op: The layer or operation.
        path: Its name, after the names of the nested models that hold it.
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
        self.op, self.path = op, path
        self.shapes, self.places, self._evaluate = shapes, places, evaluate
        # Copies, as a tensor may be given twice and read as one of the arguments only.
        args, kwargs = keras.tree.map_structure(_copied, (args, kwargs))
        names = list(inspect.signature(op.call).parameters)
        names += [name for name in kwargs if name not in names]
        self._args = args
        self._kwargs = {name: kwargs[name] for name in names if name in kwargs}
        self._unread = {id(tensor): tensor for tensor in tensors_in((args, kwargs))}

    @property
    def args(self) -> tuple:
        """Positional arguments: `UnitTensor`s, constants, and what else was given."""
        return self._read(self._args)

    @property
    def kwargs(self) -> dict:
        """Keyword arguments, likewise, in the order of the parameters of the layer."""
        return self._read(self._kwargs)

    @property
    def inputs(self) -> list[UnitTensor]:
        """All tensors among the arguments; constant arrays and lists of numbers too."""
        found = []
        for given in (*self.args, *self.kwargs.values()):
            tensors = tensors_in(given)
            # Keras takes a list of numbers wherever it takes an array.
            found += tensors or ([UnitTensor(np.shape(given))] if np.ndim(given) else [])
        return found

    @property
    def input(self) -> UnitTensor:
        """The first tensor among the arguments."""
        return self._read(tensors_in((self._args, *self._kwargs.values()))[0])

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument that may be given by name or by position, constants as they were given."""
        given = self._args[position] if position < len(self._args) else self._kwargs.get(name)
        return default if given is None else self._read(given)

    def tensors(self, name: str, position: int) -> list[UnitTensor]:
        """The tensors in an argument, constant ones too."""
        return tensors_in(self.argument(name, position))

    def hold_unread(self) -> None:
        """Hold the units of the tensors still that no rule has read."""
        for tensor in self._unread.values():
            hold(self.places, tensor, range(len(tensor.shape)))

    def _read(self, given: Any) -> Any:
        for leaf in keras.tree.flatten(given):
            self._unread.pop(id(leaf), None)
        return given

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
            raise self.unsupported(
                "one of its weights is computed from others, as by quantization, low-rank updates "
                f"(LoRA) or a property, and arrives as a {type(variable).__name__}"
            )
        return self.places.weight(variable, axis, role, self.path, level=level, merged=merged)

    def scale(self, tensor: UnitTensor, variable: Any, axes: list[int]) -> UnitTensor:
        """`tensor` after scaling or shifting by a weight whose axis `i` lies along `axes[i]`.

        `variable` may be `None`: then nothing happens.
        """
        if variable is None:
            return tensor
        weight = self.weight(variable, {i: IN for i in range(len(axes))})
        return combine(self.places, tensor, lay(weight, axes, len(tensor.shape)))

    def still(self, *variables: Any) -> None:
        """Say that no unit lies along these weights, though their sizes may be those of units."""
        for variable in variables:
            self.places.still(variable)

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


def tensors_in(structure: Any) -> list[UnitTensor]:
    """The tensors in nested arguments; constant arrays and variables are tensors without units."""
    found = []
    for leaf in keras.tree.flatten(structure):
        if isinstance(leaf, UnitTensor):
            found.append(leaf)
        elif keras.ops.is_tensor(leaf) or isinstance(leaf, np.ndarray | keras.Variable):
            found.append(UnitTensor(tuple(leaf.shape)))
    return found


def _copied(value: Any) -> Any:
    return dataclasses.replace(value) if isinstance(value, UnitTensor) else value
