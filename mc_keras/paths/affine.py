"""Paths that are affine in their control points: line, arc, slerp, Bezier, polygonal chain."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mc_keras.paths.base import Path
from mc_keras.paths.coefficients import Coefficients, by_name
from mc_keras.weight_space import WeightSpace


class AffinePath(Path):
    """`w_i(t) = sum(c_i[k](t) * control_points[k][i] for k)` for each variable `i`.

    Args:
        space: Weight space of a private copy of the architecture.
        control_points: List of points. The first is the start, the second or the last the end,
            see `end_index`. An entry may have a shape that broadcasts to the variable's (the mean
            of an arc is the same for every unit), or be `None` where the coefficients of that
            variable use fewer control points.
        coefficients: One coefficient function for all variables, or a list with one for each.
        states: State at the start and at the end.
        end_index: Position of the end among the control points.
        method: Name of the method.
        provenance: See `Path`.

    Raises:
        ValueError: If the numbers of control points, coefficients and variables do not fit.
    """

    def __init__(
        self,
        space: WeightSpace,
        control_points: Sequence[Sequence[np.ndarray | None]],
        coefficients: Coefficients | Sequence[Coefficients],
        *,
        states: tuple[list[np.ndarray], list[np.ndarray]],
        end_index: int = -1,
        method: str = "affine",
        provenance: dict[str, Any] | None = None,
    ):
        super().__init__(space, method=method, provenance=provenance)
        self.control_points = [list(point) for point in control_points]
        if isinstance(coefficients, Coefficients):
            coefficients = [coefficients] * len(space.variables)
        self.coefficient_functions = list(coefficients)
        self.states = states
        self.end_index = end_index % len(self.control_points)
        self._check()

    def _check(self) -> None:
        num_variables = len(self.space.variables)
        if len(self.coefficient_functions) != num_variables:
            raise ValueError(
                f"An affine path over {num_variables} variables needs as many coefficient "
                f"functions, received {len(self.coefficient_functions)}."
            )
        for k, point in enumerate(self.control_points):
            if len(point) != num_variables:
                raise ValueError(
                    f"Control point {k} has {len(point)} arrays for {num_variables} variables."
                )
        for i, (variable, function) in enumerate(
            zip(self.space.variables, self.coefficient_functions, strict=True)
        ):
            for k in range(function.num_control_points):
                array = self.control_points[k][i]
                shape = tuple(variable.shape)
                if array is None or np.broadcast_shapes(array.shape, shape) != shape:
                    raise ValueError(
                        f"Control point {k} of '{variable.path}' must have a shape that broadcasts "
                        f"to {shape}, received {None if array is None else array.shape}."
                    )

    @property
    def knots(self) -> tuple[float, ...]:
        """Positions where one of the coefficient functions has a corner."""
        return tuple(sorted({t for function in self.coefficient_functions for t in function.knots}))

    def coefficients(self, t: float) -> list[list[Any]]:
        """`coefficients(t)[i][k]`: weight of control point `k` in variable `i`, in float64.

        A float, or (slerp) an array that broadcasts against the variable.
        """
        values = {id(f): f(t) for f in self.coefficient_functions}
        return [values[id(f)] for f in self.coefficient_functions]

    def _point(self, t: float) -> list[np.ndarray]:
        if t in (0.0, 1.0):
            end = self.control_points[0 if t == 0.0 else self.end_index]
            return [np.array(array) for array in end]
        return [
            _combine(values, self._arrays_of(i), variable)
            for i, (values, variable) in enumerate(
                zip(self.coefficients(t), self.variables, strict=True)
            )
        ]

    def _state(self, t: float) -> list[np.ndarray]:
        if t in (0.0, 1.0):
            return [np.array(array) for array in self.states[int(t)]]
        return [
            _combine([1 - t, t], [a, b], variable) if _is_float(variable) else np.array(a)
            for variable, a, b in zip(self.space.state_variables, *self.states, strict=True)
        ]

    def tensor_point(
        self, t: Any, as_tensor: Callable[[np.ndarray], Any] = keras.ops.convert_to_tensor
    ) -> tuple[list[Any], list[Any]]:
        """See `Path`."""
        t = keras.ops.cast(t, _precision(*self.variables))
        values = {id(f): f(t) for f in self.coefficient_functions}

        def combined(values: list[Any], arrays: list[np.ndarray], variable: keras.Variable) -> Any:
            own = _precision(variable)
            terms = [
                keras.ops.cast(c, own) * keras.ops.cast(as_tensor(array), own)
                for c, array in zip(values, arrays, strict=True)
            ]
            value = keras.ops.broadcast_to(sum(terms), variable.shape)
            return keras.ops.cast(value, variable.dtype)

        point = [
            combined(values[id(function)], self._arrays_of(i), variable)
            for i, (variable, function) in enumerate(
                zip(self.variables, self.coefficient_functions, strict=True)
            )
        ]
        state = [
            combined([1 - t, t], [a, b], variable) if _is_float(variable) else as_tensor(a)
            for variable, a, b in zip(self.space.state_variables, *self.states, strict=True)
        ]
        return point, state

    def _arrays_of(self, i: int) -> list[np.ndarray]:
        """The control points of variable `i`, as many as its coefficients."""
        count = self.coefficient_functions[i].num_control_points
        return [array for point in self.control_points[:count] if (array := point[i]) is not None]

    def describe(self, store: Any) -> dict[str, Any]:
        """See `Path`."""
        functions = {id(f): f for f in self.coefficient_functions}
        position = {key: index for index, key in enumerate(functions)}
        return {
            "kind": "affine",
            "control_points": [
                [None if array is None else store.add(array) for array in point]
                for point in self.control_points
            ],
            "coefficients": [
                {
                    "kind": type(f).__name__,
                    "config": {
                        key: {"array": store.add(value)} if isinstance(value, np.ndarray) else value
                        for key, value in f.get_config().items()
                    },
                }
                for f in functions.values()
            ],
            "coefficients_of": [position[id(f)] for f in self.coefficient_functions],
            "states": [[store.add(array) for array in state] for state in self.states],
            "end_index": self.end_index,
        }

    @classmethod
    def rebuild(cls, space: WeightSpace, config: dict[str, Any], load: Any) -> "AffinePath":
        """See `Path`."""
        functions = [
            by_name(item["kind"]).from_config(
                {
                    key: load(value["array"]) if isinstance(value, dict) else value
                    for key, value in item["config"].items()
                }
            )
            for item in config["coefficients"]
        ]
        start, end = ([load(name) for name in names] for names in config["states"])
        return cls(
            space,
            [
                [None if name is None else load(name) for name in names]
                for names in config["control_points"]
            ],
            [functions[index] for index in config["coefficients_of"]],
            states=(start, end),
            end_index=config["end_index"],
        )


def _combine(values: list[Any], arrays: list[np.ndarray], variable: keras.Variable) -> np.ndarray:
    """`sum(values[k] * arrays[k])` in the variable's shape and dtype; zero terms are not read."""
    dtype, precision = arrays[0].dtype, _precision(variable)
    terms = [
        (c, array) for c, array in zip(values, arrays, strict=True) if np.ndim(c) != 0 or c != 0.0
    ]
    if len({id(array) for _, array in terms}) == 1 and all(np.ndim(c) == 0 for c, _ in terms):
        # Between two knots with the same array lies that array, to the bit.
        share = sum(c for c, _ in terms)
        terms = [(1.0 if np.isclose(share, 1.0, rtol=1e-12) else share, terms[0][1])]
    total: Any = None
    for c, array in terms:
        # An array even of a scalar variable, for which NumPy gives a number.
        term = np.asarray(np.multiply(array, np.asarray(c, precision), dtype=precision))
        total = term if total is None else np.add(total, term, out=_room_for(total, term))
    if total is None:
        return np.zeros(variable.shape, dtype)
    # A broadcast array is a read-only view, even of an array of that shape.
    return np.require(np.broadcast_to(total, variable.shape), dtype, ["C", "W"])


def _precision(*variables: keras.Variable) -> str:
    """What is computed in: float32, or float64 where a variable has it."""
    return keras.backend.result_type("float32", *(variable.dtype for variable in variables))


def _is_float(variable: keras.Variable) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)


def _room_for(total: np.ndarray, term: np.ndarray) -> np.ndarray | None:
    return total if np.broadcast_shapes(total.shape, term.shape) == total.shape else None
