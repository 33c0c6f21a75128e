"""Symbols for tensors: a shape, and the hidden units along its axes.

The functions here say what happens to units when tensors are multiplied, summed, reshaped and so
on. The rules for layers are put together from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from mc_keras.units.places import Places

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class UnitTensor:
    """A tensor and the places of the hidden units in it.

    Attributes:
        shape: Shape of the tensor, batch axis included, `None` where unknown.
        factors: Arrays of places with the rank of the tensor; the size of an axis is that of the
            tensor where the places differ along it, else 1. A convolution's output has one factor
            of shape `(1, 1, 1, channels)`. Axes that no factor covers hold still.
    """

    shape: Shape
    factors: tuple[NDArray[np.int64], ...] = ()

    def touching(self, axes: Sequence[int]) -> list[NDArray[np.int64]]:
        """The factors that vary along any of `axes`."""
        return [f for f in self.factors if any(f.shape[axis] > 1 for axis in axes)]


def along(axis: int, tensor: UnitTensor, rank: int) -> UnitTensor:
    """A vector laid along one axis of a tensor of `rank` axes, the other axes having size 1."""
    return lay(tensor, [axis], rank)


def lay(tensor: UnitTensor, axes: Sequence[int], rank: int) -> UnitTensor:
    """The tensor with its axis `i` as axis `axes[i]` of `rank` axes, the others of size 1."""
    order = [axis % rank for axis in axes]
    missing = tuple(axis for axis in range(rank) if axis not in order)
    sizes = dict(zip(order, tensor.shape, strict=True))
    factors = tuple(np.expand_dims(f.transpose(np.argsort(order)), missing) for f in tensor.factors)
    return UnitTensor(tuple(sizes.get(axis, 1) for axis in range(rank)), factors)


def varying(factor: NDArray) -> list[int]:
    """The axes along which the places of a factor differ."""
    return [axis for axis, size in enumerate(factor.shape) if size > 1]


def index_along(factor: NDArray, axes: Sequence[int]) -> NDArray[np.int64]:
    """The index along `axes`, flattened, in a shape that broadcasts to the factor's."""
    index = np.zeros([1] * factor.ndim, np.int64)
    for axis in axes:
        shape = [1] * factor.ndim
        shape[axis] = factor.shape[axis]
        index = index * shape[axis] + np.arange(shape[axis]).reshape(shape)
    return index


def combine(places: Places, first: UnitTensor, second: UnitTensor) -> UnitTensor:
    """The result of an elementwise operation on two tensors (broadcast as NumPy does).

    Units at the same index are tied. Where only one of the tensors has units along an axis and
    the other has more than one value along it, the units of the first hold still.
    """
    rank = max(len(first.shape), len(second.shape))
    first, second = lift(first, rank), lift(second, rank)
    kept = []
    for one, other in ((first, second), (second, first)):
        for factor in one.factors:
            shared = [axis for axis in varying(factor) if other.shape[axis] != 1]
            partners = other.touching(shared)
            back = one.touching([a for p in partners for a in varying(p) if one.shape[a] != 1])
            if len(partners) > 1 or len(back) > 1:
                # Units along two axes at once meet units along each of them: a permutation of the
                # former would have to be one of rows and columns, which places cannot say.
                places.pin(factor)
            elif partners:
                alone = [axis for axis in shared if partners[0].shape[axis] == 1]
                places.mark(factor, index_along(factor, alone))
                # Partners are partners of each other: the pair is tied, and kept, on one side only.
                if one is first:
                    places.tie(factor, partners[0])
                    kept.append(_joined(places, factor, partners[0]))
            else:
                if shared:
                    places.mark(factor, index_along(factor, shared))
                # Units along shared axes alone hold still now. Kept, they would look like units
                # along an axis beside those along others, and keep a reshape from merging the two.
                if not shared or shared != varying(factor):
                    kept.append(factor)
    shape = tuple(b if a == 1 else a for a, b in zip(first.shape, second.shape, strict=True))
    return UnitTensor(shape, tuple(kept))


def mix(
    places: Places, tensor: UnitTensor, axes: Sequence[int], weighted: Sequence[int] = ()
) -> UnitTensor:
    """The result of an operation that treats all indices along `axes` alike, such as softmax.

    Along those that are `weighted`, units are read by the outgoing weights of a kernel alone.
    """
    axes = [axis % len(tensor.shape) for axis in axes]
    for factor in tensor.touching(axes):
        outside = [axis for axis in varying(factor) if axis not in axes]
        places.mark(factor, index_along(factor, outside))
    for factor in tensor.touching([axis for axis in axes if axis not in weighted]):
        places.reduce(factor)
    return tensor


def reduce(
    places: Places,
    tensor: UnitTensor,
    axes: Sequence[int],
    *,
    keepdims: bool = False,
    weighted: Sequence[int] = (),
) -> UnitTensor:
    """The result of a symmetric reduction, such as a sum or a maximum, over `axes`; see `mix`."""
    axes = tuple(axis % len(tensor.shape) for axis in axes)
    mix(places, tensor, axes, weighted)
    kept = [f for f in tensor.factors if not set(varying(f)) & set(axes)]
    if keepdims:
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))
        return UnitTensor(shape, tuple(kept))
    shape = tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)
    return UnitTensor(shape, tuple(f.squeeze(axes) for f in kept))


def hold(places: Places, tensor: UnitTensor, axes: Sequence[int]) -> UnitTensor:
    """The result of an operation that mixes indices along `axes`, such as pooling over space.

    Units along these axes hold still from here on. Units that vary along other axes too are tied
    along these ones.
    """
    kept = []
    for factor in tensor.factors:
        inside = [axis for axis in varying(factor) if axis in axes]
        if inside == varying(factor):
            places.pin(factor)
            continue
        if inside:
            places.mark(factor, index_along(factor, inside))
            head = factor[
                tuple(slice(1) if a in inside else slice(None) for a in range(factor.ndim))
            ]
            places.tie(factor, head)
            factor = head
        kept.append(factor)
    return UnitTensor(tensor.shape, tuple(kept))


def einsum(
    places: Places, subscripts: str, *tensors: UnitTensor, kernel: UnitTensor | None = None
) -> UnitTensor:
    """The result of `einsum`: an elementwise product over all letters, then a sum over some.

    A kernel is the last operand; over its letters units are read by its outgoing weights alone.
    """
    tensors += () if kernel is None else (kernel,)
    operands, output = _parse(subscripts, [len(t.shape) for t in tensors])
    letters = output + "".join(sorted(set("".join(operands)) - set(output)))
    product = UnitTensor((1,) * len(letters))
    for operand, tensor in zip(operands, tensors, strict=True):
        order = [operand.index(letter) for letter in letters if letter in operand]
        missing = tuple(i for i, letter in enumerate(letters) if letter not in operand)
        factors = tuple(np.expand_dims(f, missing) for f in transpose(tensor, order).factors)
        shape = tuple(
            tensor.shape[operand.index(letter)] if letter in operand else 1 for letter in letters
        )
        product = combine(places, product, UnitTensor(shape, factors))
    weighted = [letters.index(letter) for letter in operands[-1]] if kernel is not None else []
    return reduce(places, product, range(len(output), len(letters)), weighted=weighted)


def transpose(tensor: UnitTensor, order: Sequence[int]) -> UnitTensor:
    """The tensor with its axes in another order."""
    shape = tuple(tensor.shape[axis] for axis in order)
    return UnitTensor(shape, tuple(f.transpose(order) for f in tensor.factors))


def rearrange(
    places: Places, tensor: UnitTensor, move: Callable[[NDArray], NDArray], shape: Shape
) -> UnitTensor:
    """The result of moving, repeating or leaving out entries.

    Args:
        places: The book.
        tensor: The tensor.
        move: Maps an array of the shape of `tensor` (with 1 for sizes that are unknown or along
            which no factor varies) to the array of the result.
        shape: Shape of the result.
    """
    kept = []
    for factor in tensor.factors:
        moved = move(factor)
        if moved.size != factor.size:
            places.mark(moved)
        kept.append(distinct(places, moved))
    return UnitTensor(shape, tuple(f for f in kept if f.size > 1))


def reshape(places: Places, tensor: UnitTensor, shape: Shape) -> UnitTensor:
    """The tensor with its entries, in row-major order, in another shape.

    Raises:
        ValueError: If the sizes that matter are unknown.
    """
    kept = []
    for factor in tensor.factors:
        start, target = _common_tail(tensor.shape, shape, varying(factor)[0])
        moved = np.broadcast_to(factor, [1] * start + [*tensor.shape[start:]])
        moved = moved.reshape([1] * target + [*shape[target:]])
        for axis in range(target, len(shape)):
            head = moved.take([0], axis)
            moved = head if (moved == head).all() else moved
        kept.append(distinct(places, moved))
    return UnitTensor(shape, tuple(kept))


def concatenate(places: Places, tensors: Sequence[UnitTensor], axis: int) -> UnitTensor:
    """The tensors one after the other along `axis`."""
    rank = len(tensors[0].shape)
    axis %= rank
    rest, pieces = UnitTensor((1,) * rank), []
    sizes = [size for tensor in tensors if (size := tensor.shape[axis]) is not None]
    length = sum(sizes) if len(sizes) == len(tensors) else None
    for tensor in tensors:
        found = tensor.touching([axis])
        # Behind a piece of unknown size the units would stand at unknown positions.
        if length is None or len(found) != 1 or varying(found[0]) != [axis]:
            tensor, found = hold(places, tensor, [axis]), []
        pieces.append(found[0].ravel() if found else None)
        others = tuple(f for f in tensor.factors if f.shape[axis] == 1)
        shape: Shape = tuple(1 if a == axis else size for a, size in enumerate(tensor.shape))
        rest = combine(places, rest, UnitTensor(shape, others))
    factors = rest.factors
    if any(piece is not None for piece in pieces):
        filled = [
            fixed(places, size) if piece is None else piece
            for piece, size in zip(pieces, sizes, strict=True)
        ]
        vector = UnitTensor((length,), (distinct(places, np.concatenate(filled)),))
        factors += along(axis, vector, rank).factors
    return UnitTensor(tuple(length if a == axis else s for a, s in enumerate(rest.shape)), factors)


def fixed(places: Places, size: int) -> NDArray[np.int64]:
    """Places that hold still."""
    pinned = places.new(size)
    places.pin(pinned)
    return pinned


def distinct(places: Places, factor: NDArray[np.int64]) -> NDArray[np.int64]:
    """The factor, with fresh places tied to the old ones if some place occurs twice in it."""
    flat = factor.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if starts.size == flat.size:
        return factor
    copy = np.empty_like(flat)
    copy[order] = np.arange(flat.size) - np.repeat(starts, np.diff(np.r_[starts, flat.size]))
    fresh = places.new(factor.shape)
    places.mark(fresh, copy.reshape(factor.shape))
    places.tie(fresh, factor)
    return fresh


def _joined(places: Places, first: NDArray, second: NDArray) -> NDArray:
    """One of two tied factors: the one that covers the shape of both."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    if second.shape == shape != first.shape:
        return second
    return distinct(places, np.broadcast_to(first, shape))


def _common_tail(source: Shape, target: Shape, first: int) -> tuple[int, int]:
    """Where the last axes of two shapes begin that hold the same entries, `first` among them."""
    lengths = {_length(target[other:]): other for other in range(len(target))}
    for start in range(first, -1, -1):
        length = _length(source[start:])
        if length is not None and length in lengths:
            return start, lengths[length]
    raise ValueError(f"the sizes to reshape {source} to {target} are unknown")


def _length(shape: Shape) -> int | None:
    return None if None in shape else prod(size or 0 for size in shape)


def lift(tensor: UnitTensor, rank: int) -> UnitTensor:
    """The tensor with axes of size 1 in front, up to `rank` axes."""
    missing = rank - len(tensor.shape)
    lifted = tuple(f.reshape((1,) * missing + f.shape) for f in tensor.factors)
    return UnitTensor((1,) * missing + tensor.shape, lifted)


def _parse(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Operand and output letters, with letters of their own for an ellipsis."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    operands = left.split(",")
    if not arrow:
        found = "".join(operands).replace(".", "")
        output = "..." * ("..." in left) + "".join(
            letter for letter in sorted(set(found)) if found.count(letter) == 1
        )
    free = [letter for letter in ascii_letters if letter not in subscripts]
    depths = [
        rank - len(operand.replace("...", "")) if "..." in operand else 0
        for operand, rank in zip(operands, ranks, strict=True)
    ]
    extra = "".join(free[: max(depths)])
    operands = [
        operand.replace("...", extra[len(extra) - depth :])
        for operand, depth in zip(operands, depths, strict=True)
    ]
    return operands, output.replace("...", extra)
