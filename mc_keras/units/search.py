"""The unit groups of a model: what a walk over its graph has written into the book of places."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mc_keras.units.groups import UnitAxis, UnitGroup
from mc_keras.units.places import Places, Resolved
from mc_keras.units.tensors import varying
from mc_keras.units.walk import walk_over
from mc_keras.weight_space import WeightSpace


def unit_groups(
    model: keras.Model, on_unknown: Literal["error", "end"] = "error"
) -> tuple[UnitGroup, ...]:
    """Find the groups of hidden units of a model by a walk over its graph.

    Units are tied by residual connections and layers that are called twice, lined up by
    concatenations, and hold still at the inputs and outputs of the model, and where they meet
    constants or are used in a mask. Any permutation of the units of a group leaves the outputs of
    the model unchanged up to rounding; where the walk cannot tell, units hold still.

    There may be more such permutations. Blocks of weights are units only in the attention layers
    of Keras, where whole heads form a group: elsewhere, blocks that a reshape makes are not found
    as units. A maximum over the last axis of `Reshape((5, 3))` (maxout) has five groups of 3 pieces
    but none of the 5 maxima, and attention put together from dense layers has groups of the
    dimensions within its heads but none of the heads.

    Args:
        model: A built Sequential or Functional model; nested models are entered.
        on_unknown: What to do at a layer without a rule. With "error", raise; with "end", all
            units that reach the layer hold still, and so do its weights.

    Returns:
        The groups, in the order of the layers that make them. Sets of fewer than two units are
        left out, as there is nothing to permute.

    Raises:
        TypeError: If `model` is not a Sequential or Functional model, or if a registered rule does
            not return one `UnitTensor` for each output.
        ValueError: If `on_unknown` is neither, if a layer has no rule, or if weights of the model
            do not exist yet, such as those of a layer given as an activation.

    Example:
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(3)])
    >>> [(group.name, group.size, len(group.axes)) for group in unit_groups(model)]
    [('dense', 5, 3)]
    """
    if on_unknown not in ("error", "end"):
        raise ValueError(
            f'`on_unknown` must be "error" or "end". Received: on_unknown={on_unknown!r}'
        )
    walk = walk_over(model, on_unknown)
    return tuple(_groups(walk.places, walk.space, walk.places.resolve()).values())


def readings(model: keras.Model) -> list[list["Reading"]]:
    """For each of `unit_groups(model)`, the tensors of the graph that its units are read from.

    Layers without a rule end the groups. A group inside one layer, such as the heads of an
    attention layer, is read from no tensor.
    """
    walk = walk_over(model, "end")
    resolved = walk.places.resolve()
    groups = _groups(walk.places, walk.space, resolved)
    found: dict[int, list[Reading]] = {number: [] for number in groups}
    outgoing = {id(w.variable) for w in walk.places.weights.values() if w.role == "out"}
    for call, op, tensors in walk.calls:
        if not any(id(v) in outgoing for v in getattr(op, "weights", [])):
            continue
        for argument, tensor in enumerate(tensors):
            for factor in tensor.factors:
                axes = varying(factor)
                if len(axes) != 1:
                    continue
                for number, positions in _positions(factor.ravel(), resolved):
                    if number in found and len(positions) == groups[number].size:
                        found[number].append(Reading(call, argument, axes[0], positions))
    return list(found.values())


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Where the activations of the units of a group are read by a layer.

    Attributes:
        call: `id` of the first symbolic output of the call of the layer.
        argument: Number of the tensor among the tensors that the layer is given.
        axis: Axis of that tensor along which the units lie.
        positions: As in `UnitAxis`.
    """

    call: int
    argument: int
    axis: int
    positions: NDArray[np.int64]


def _groups(places: Places, space: WeightSpace, resolved: Resolved) -> dict[int, UnitGroup]:
    index = {id(v): (i, True) for i, v in enumerate(space.variables)}
    index |= {id(v): (i, False) for i, v in enumerate(space.state_variables)}
    axes: dict[int, list[UnitAxis]] = {}
    names: dict[int, str] = {}
    reduced: dict[int, bool] = {}
    for weight in places.weights.values():
        if id(weight.variable) not in index:  # It holds still: see `hold_weights_of_others`.
            continue
        number, trainable = index[id(weight.variable)]
        for group, positions in _positions(weight.places, resolved):
            axis = UnitAxis(number, trainable, weight.axis, positions, weight.role, weight.merged)
            axes.setdefault(group, []).append(axis)
            reduced[group] = bool(resolved.reduced[weight.places[positions[0, 0]]])
            if weight.role == "in":
                names.setdefault(group, weight.name)
    # A group without incoming weights is made of entries that are constant, such as padding.
    total, seen = Counter(names.values()), Counter[str]()
    groups = {}
    for group, name in names.items():
        label = f"{name}[{seen[name]}]" if total[name] > 1 else name
        seen[name] += 1
        ordered = sorted(axes[group], key=lambda axis: (not axis.trainable, axis.variable))
        groups[group] = UnitGroup(label, len(ordered[0].positions), tuple(ordered), reduced[group])
    return groups


def _positions(
    places: NDArray[np.int64], resolved: Resolved
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For each group along an axis: its number, and the positions `(size, block)` of its units."""
    unit, group = resolved.unit[places], resolved.group[places]
    order = np.lexsort((resolved.part[places], unit, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    for own in sorted(np.split(order, starts[1:]), key=lambda positions: positions.min()):
        size = np.unique(unit[own]).size
        if size > 1:
            blocks = own.reshape(size, -1)
            yield int(group[own[0]]), blocks[:, np.argsort(blocks[0])]
