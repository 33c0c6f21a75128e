"""Rules for `keras.ops` operations, which have no weights. Their classes are not public."""

from string import ascii_lowercase
from typing import Any

import numpy as np

from mc_keras.units.call import Call
from mc_keras.units.rules.activations import elementwise, softmax, unchanged
from mc_keras.units.rules.convolution import pooling
from mc_keras.units.rules.normalization import unit_normalization
from mc_keras.units.rules.shaping import concatenation, held, reshaping
from mc_keras.units.tensors import (
    UnitTensor,
    along,
    combine,
    concatenate,
    einsum,
    lay,
    lift,
    mix,
    rearrange,
    reduce,
    transpose,
)


def reduction(call: Call) -> UnitTensor:
    """Sums, means, maxima, norms over `axis`, all axes if it is `None`."""
    op, inputs = call.op, call.input
    axes = range(len(inputs.shape)) if op.axis is None else np.atleast_1d(op.axis).tolist()
    return reduce(call.places, inputs, axes, keepdims=getattr(op, "keepdims", False))


def average(call: Call) -> UnitTensor:
    """A mean over `axis` in which all entries count alike."""
    if call.argument("weights", 1) is not None:
        raise call.unsupported("it weights entries differently")
    return reduction(call)


def matmul(call: Call) -> UnitTensor:
    """Matrix product over the last two axes, the others broadcast."""
    first, second = call.inputs
    left = "...ij" if len(first.shape) > 1 else "j"
    right = "...jk" if len(second.shape) > 1 else "j"
    output = "..." + left[3:-1] + right[4:]
    return einsum(call.places, f"{left},{right}->{output}", first, second)


def einstein_sum(call: Call) -> UnitTensor:
    """The operation `einsum`."""
    subscripts = call.op.subscripts
    for operand in subscripts.split("->")[0].split(","):
        letters = operand.replace(".", "").replace(" ", "")
        if len(set(letters)) < len(letters):
            raise call.unsupported(f"its subscripts '{subscripts}' take a diagonal")
    return einsum(call.places, subscripts, *call.inputs)


def transposition(call: Call) -> UnitTensor:
    """Axes in the order `axes`, reversed if it is `None`."""
    order = call.op.axes
    return transpose(call.input, range(len(call.input.shape))[::-1] if order is None else order)


def swap_axes(call: Call) -> UnitTensor:
    """Two axes swapped."""
    order = list(range(len(call.input.shape)))
    i, j = call.op.axis1, call.op.axis2
    order[i], order[j] = order[j], order[i]
    return transpose(call.input, order)


def move_axes(call: Call) -> UnitTensor:
    """Some axes moved to other positions, as in NumPy."""
    rank = len(call.input.shape)
    source, destination = (
        [axis % rank for axis in np.atleast_1d(axes).tolist()]
        for axes in (call.op.source, call.op.destination)
    )
    moved = dict(zip(destination, source, strict=True))
    others = iter(axis for axis in range(rank) if axis not in source)
    order = [moved[axis] if axis in moved else next(others) for axis in range(rank)]
    return transpose(call.input, order)


def tensor_product(call: Call) -> UnitTensor:
    """The operation `tensordot`: a sum over pairs of axes, or over the last and first few."""
    first, second = call.inputs
    axes, rank = call.op.axes, len(first.shape)
    if np.ndim(axes) == 0:
        axes = [range(rank - axes, rank), range(axes)]
    letters = [list(ascii_lowercase[:rank]), list(ascii_lowercase[rank:][: len(second.shape)])]
    for i, j in zip(*map(np.atleast_1d, axes), strict=True):
        letters[1][j] = letters[0][i]
    left, right = ("".join(text) for text in letters)
    output = "".join(letter for letter in left + right if (left + right).count(letter) == 1)
    return einsum(call.places, f"{left},{right}->{output}", first, second)


def horizontal_stack(call: Call) -> UnitTensor:
    """Concatenation along the second axis."""
    tensors = call.inputs
    return concatenate(call.places, tensors, min(1, len(tensors[0].shape) - 1))


def stack(call: Call) -> UnitTensor:
    """Tensors one after the other along a new axis: units at the same index are tied."""
    rank = len(call.shapes[0])
    axis = call.op.axis % rank
    raised = [
        UnitTensor(
            (*tensor.shape[:axis], 1, *tensor.shape[axis:]),
            tuple(np.expand_dims(f, axis) for f in tensor.factors),
        )
        for tensor in call.inputs
    ]
    return concatenate(call.places, raised, axis)


def unstack(call: Call) -> list[UnitTensor]:
    """The entries along `axis`, one by one."""
    rank = len(call.input.shape)
    axis = call.op.axis % rank
    return [
        _picked(call, [i if a == axis else slice(None) for a in range(rank)], shape)
        for i, shape in enumerate(call.shapes)
    ]


def broadcast_to(call: Call) -> UnitTensor:
    """The tensor repeated along axes of size 1."""
    return UnitTensor(call.shapes[0], lift(call.input, len(call.shapes[0])).factors)


def split(call: Call) -> list[UnitTensor]:
    """Pieces along `axis`."""
    inputs, op = call.input, call.op
    axis = op.axis % len(inputs.shape)
    ends = np.cumsum([shape[axis] for shape in call.shapes]) if inputs.touching([axis]) else None
    pieces = []
    for i, shape in enumerate(call.shapes):
        key = slice(None) if ends is None else slice(ends[i] - shape[axis], ends[i])
        keys = [key if a == axis else slice(None) for a in range(len(shape))]
        pieces.append(_picked(call, keys, shape))
    return pieces


def get_item(call: Call) -> UnitTensor:
    """Indexing with integers, slices, `None` and `...`."""
    key = call.argument("key", 1)
    key = list(key) if isinstance(key, tuple | list) else [key]
    if any(not (k is None or k is Ellipsis or isinstance(k, int | slice)) for k in key):
        raise call.unsupported("it is indexed with an array or a tensor")
    if Ellipsis not in key:
        key.append(Ellipsis)
    rank = len(call.input.shape)
    at = key.index(Ellipsis)
    missing = rank - sum(k is not None for k in key) + 1
    return _picked(call, key[:at] + [slice(None)] * missing + key[at + 1 :], call.shapes[0])


def flip(call: Call) -> UnitTensor:
    """Order reversed along `axis`."""
    axis = call.op.axis
    return rearrange(call.places, call.input, lambda f: np.flip(f, axis), call.shapes[0])


def roll(call: Call) -> UnitTensor:
    """Entries moved on along `axis`, the last ones to the front."""
    op = call.op
    if op.axis is None:
        raise call.unsupported("it rolls over all axes at once")
    return rearrange(
        call.places, call.input, lambda f: np.roll(f, op.shift, op.axis), call.shapes[0]
    )


def pad(call: Call) -> UnitTensor:
    """Constant padding. Entries added along an axis of units are alike."""
    inputs, shape = call.input, call.shapes[0]
    widths = np.broadcast_to(call.op.pad_width, (len(shape), 2))
    padded = inputs
    for axis, (before, after) in enumerate(widths.tolist()):
        if inputs.touching([axis]) and before + after:
            if call.op.mode != "constant":
                raise call.unsupported(f"it pads an axis of units in mode '{call.op.mode}'")
            ends = [
                along(axis, UnitTensor((n,), (call.places.new(n),)), len(shape))
                for n in (before, after)
                if n
            ]
            pieces = [ends[0], padded] if before else [padded]
            padded = concatenate(call.places, [*pieces, *ends[bool(before) :]], axis)
    return padded


def repeat(call: Call) -> UnitTensor:
    """Each entry several times along `axis`."""
    op, inputs = call.op, call.input
    if op.axis is None or np.ndim(op.repeats):
        raise call.unsupported("it repeats entries different numbers of times, or over all axes")
    axis = op.axis % len(inputs.shape)

    def move(factor: np.ndarray) -> np.ndarray:
        return np.repeat(factor, op.repeats, axis) if factor.shape[axis] > 1 else factor

    return rearrange(call.places, inputs, move, call.shapes[0])


def tile(call: Call) -> UnitTensor:
    """The whole tensor several times along each axis."""
    inputs, repeats = call.input, np.atleast_1d(call.op.repeats).tolist()
    rank = len(call.shapes[0])
    repeats = [1] * (rank - len(repeats)) + repeats
    for axis, count in enumerate(repeats):
        if lift(inputs, rank).touching([axis]):
            inputs = concatenate(call.places, [lift(inputs, rank)] * count, axis)
    return lift(inputs, rank)


def take(call: Call) -> UnitTensor:
    """The entries at constant `indices` along `axis`."""
    inputs, axis = call.input, call.op.axis
    indices = call.argument("indices", 1)
    if isinstance(indices, UnitTensor) or axis is None or np.ndim(indices) > 1:
        raise call.unsupported("its indices are not a constant vector along one axis")

    def move(factor: np.ndarray) -> np.ndarray:
        if np.ndim(indices) and factor.shape[axis] == 1:
            return factor
        return factor.take(np.asarray(indices) if factor.shape[axis] > 1 else 0, axis)

    return rearrange(call.places, inputs, move, call.shapes[0])


def layer_normalize(call: Call) -> UnitTensor:
    """Moments over `axis`, then a scale and a shift that may be tensors or constants."""
    tensor, *scales = call.inputs
    rank = len(tensor.shape)
    axes = np.atleast_1d(call.op.axis).tolist()
    mix(call.places, tensor, axes)
    for scale in scales:
        tensor = combine(
            call.places, tensor, lay(scale, axes[len(axes) - len(scale.shape) :], rank)
        )
    return tensor


def clip(call: Call) -> UnitTensor:
    """Limits, each one number or an array."""
    outputs = call.input
    for limit in (call.op.x_min, call.op.x_max):
        outputs = combine(call.places, outputs, UnitTensor(tuple(np.shape(limit))))
    return outputs


def gated_linear_unit(call: Call) -> UnitTensor:
    """The first half along `axis` times the sigmoid of the second."""
    rank = len(call.input.shape)
    axis = call.op.axis % rank
    half = call.shapes[0][axis]
    first, second = (
        _picked(call, [part if a == axis else slice(None) for a in range(rank)], call.shapes[0])
        for part in (slice(half), slice(half, None))
    )
    return combine(call.places, first, second)


def _picked(call: Call, key: list[Any], shape: tuple[int | None, ...]) -> UnitTensor:
    """The entries at `key`, which names every axis of the input and may hold `None`."""

    def move(factor: np.ndarray) -> np.ndarray:
        sizes = iter(factor.shape)
        own = []
        for k in key:
            varies = k is None or next(sizes) > 1
            own.append(k if varies else (0 if isinstance(k, int) else slice(None)))
        return factor[tuple(own)]

    return rearrange(call.places, call.input, move, shape)


_EACH = """Absolute Abs Fabs Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cast Cbrt Ceil Celu
    ConvertToTensor Copy Cos Cosh Deg2rad Elu Erf Erfc Erfinv Exp Exp2 Expm1 Floor Gelu HardShrink
    HardSigmoid HardSilu HardTanh Identity Isfinite Isinf Isnan LeakyRelu LeakyReLU Log Log10 Log1p
    Log2 LogSigmoid LogicalNot Mish NanToNum Negative OnesLike Rad2deg ReLU Reciprocal Relu Relu6
    Round Rsqrt SaturateCast Selu Sigmoid Sign Signbit Silu Sin Sinc Sinh SoftShrink Softplus
    Softsign SparsePlus SparseSigmoid Sqrt Square Squareplus StopGradient Tan Tanh TanhShrink
    Threshold Trunc ZerosLike""".split()
_TOGETHER = """Add Arctan2 Divide DivideNoNan Equal FloorDivide Fmax Fmin Fmod Greater GreaterEqual
    Heaviside Hypot Less LessEqual Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor Maximum
    Minimum Mod Multiply NotEqual Power Subtract TrueDivide Where""".split()
_ORDERED = "Cumprod Cumsum Diff Sort Argsort Argmax Argmin".split()
_REDUCED = """All Amax Amin Any CountNonzero Logsumexp Max Mean Median Min Norm Prod Ptp Std Sum
    Var""".split()

OPERATION_RULES = {
    **dict.fromkeys(_EACH, unchanged),
    **dict.fromkeys(_TOGETHER, elementwise),
    **dict.fromkeys(_REDUCED, reduction),
    **dict.fromkeys(_ORDERED, held),
    **dict.fromkeys(["Reshape", "Squeeze", "ExpandDims", "Ravel"], reshaping),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Sparsemax"], softmax),
    **dict.fromkeys(["MaxPool", "AveragePool"], pooling),
    "Average": average,
    "BroadcastTo": broadcast_to,
    "Clip": clip,
    "Concatenate": concatenation,
    "Einsum": einstein_sum,
    "Flip": flip,
    "Glu": gated_linear_unit,
    "GetItem": get_item,
    "Hstack": horizontal_stack,
    "LayerNorm": layer_normalize,
    "Matmul": matmul,
    "Moveaxis": move_axes,
    "Normalize": unit_normalization,
    "Pad": pad,
    "Repeat": repeat,
    "RMSNorm": layer_normalize,
    "Roll": roll,
    "Split": split,
    "Stack": stack,
    "Swapaxes": swap_axes,
    "Take": take,
    "Tensordot": tensor_product,
    "Tile": tile,
    "Transpose": transposition,
    "Unstack": unstack,
}
