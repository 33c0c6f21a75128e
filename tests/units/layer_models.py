"""One small model for each kind of layer, with the sizes of the unit groups it must have."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

QUERY_KEY_VALUE = ("query", "key", "value")
IMAGE, SEQUENCE, VECTOR = (6, 6, 2), (4, 3), (4,)


def chain(shape, *steps):
    """A model that applies layers and functions one after the other."""
    inputs = x = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


def image(*steps):
    return chain(IMAGE, L.Conv2D(5, 3, name="made"), *steps, L.Conv2D(3, 2), L.Flatten())


def sequence(*steps):
    return chain(SEQUENCE, L.Conv1D(6, 2, name="made"), *steps, L.Conv1D(3, 2))


def flat(*steps):
    return chain(SEQUENCE, L.Dense(5, name="made"), *steps, L.Flatten(), L.Dense(3))


def vector(*steps, units=6):
    return chain(VECTOR, L.Dense(units, name="made"), *steps, L.Dense(3))


def branches(merge, *widths):
    """A hidden layer, then one branch for each width, merged."""

    def build(x):
        hidden = L.Dense(7, activation="tanh")(x)
        return merge([L.Dense(width, name=f"branch{i}")(hidden) for i, width in enumerate(widths)])

    return chain(VECTOR, build, L.Dense(3))


def residual():
    def block(x):
        return x + L.Dense(6)(L.Dense(5, activation="relu")(x))

    return vector(block, block, L.ReLU())


def called_twice():
    shared = L.Dense(5, activation="tanh")
    return vector(L.Dense(4, name="before"), lambda x: shared(x), L.Dense(4), lambda x: shared(x))


def tied_kernels():
    first, second = L.Dense(6), L.Dense(6)

    def tie(x):
        y = first(x)
        second.build(x.shape)
        second.kernel.assign(first.kernel)
        return second(y)

    return vector(tie)


def nested():
    inner_inputs = keras.Input((6,))
    inner = keras.Model(inner_inputs, L.Dense(6)(L.Dense(5, activation="relu")(inner_inputs)))
    block = keras.Sequential([keras.Input((6,)), L.Dense(6, activation="tanh"), inner])
    return vector(lambda x: x + block(x), lambda x: L.Multiply()([x, block(x)]))


def nested_branches():
    a, b = keras.Input((6,), name="a"), keras.Input((5,), name="b")
    inner = keras.Model({"a": a, "b": b}, {"sum": L.Dense(4)(a) + L.Dense(4)(b), "a": a})

    def build(x):
        y = inner({"a": x, "b": L.Dense(5)(x)})
        return L.Concatenate()([y["sum"], y["a"]])

    return vector(build)


def squeeze_excite(x):
    y = L.GlobalAveragePooling2D(keepdims=True)(x)
    y = L.Conv2D(4, 1, activation="relu")(y)
    return L.Multiply()([x, L.Conv2D(5, 1, activation="sigmoid")(y)])


def spatial_attention(x):
    pooled = ops.concatenate([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)], -1)
    return x * L.Conv2D(1, 3, padding="same", activation="sigmoid")(pooled)


def channel_shuffle(x):
    y = L.Conv2D(6, 1, groups=2)(x)
    y = L.Reshape((4, 4, 2, 3))(y)
    return L.Reshape((4, 4, 6))(L.Permute((1, 2, 4, 3))(y))


def mixer(x):
    """Tokens mixed by a dense layer over the time axis, then channels."""
    y = L.Permute((2, 1))(L.LayerNormalization()(x))
    y = L.Dense(3)(L.Dense(5, activation="gelu")(y))
    x = x + L.Permute((2, 1))(y)
    return x + L.Dense(6)(L.Dense(8, activation="gelu")(L.LayerNormalization()(x)))


def own_attention(x):
    """Attention with two heads of four dimensions put together by the user."""
    q, k, v = (L.Reshape((3, 2, 4))(L.Dense(8, name=name)(x)) for name in QUERY_KEY_VALUE)
    scores = ops.softmax(ops.einsum("bthd,bshd->bhts", q, k) / 2.0)
    return L.Dense(6)(L.Reshape((3, 8))(ops.einsum("bhts,bshd->bthd", scores, v)))


def matmul_attention(x):
    projected = [L.Reshape((3, 2, 4))(L.Dense(8, name=name)(x)) for name in QUERY_KEY_VALUE]
    q, k, v = (ops.transpose(y, (0, 2, 1, 3)) for y in projected)
    scores = ops.softmax(ops.matmul(q, ops.swapaxes(k, -1, -2)))
    return L.Reshape((3, 8))(ops.transpose(ops.matmul(scores, v), (0, 2, 1, 3)))


def pick(x):
    return ops.concatenate([x[..., :2], x[..., 4:], x[..., 2:4]], axis=-1)


def crossed(x):
    """Unit 0 gates unit 2, and unit 3 gates unit 1: exchanged together in this order only."""
    return ops.sigmoid(x[:, ::3]) * x[:, 2:0:-1]


def grouped_query(x):
    return L.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)(x, x)


def embedded():
    inputs = keras.Input((4,), dtype="int32")
    table = L.ReversibleEmbedding(7, 5)
    x = L.LSTM(4, return_sequences=True)(table(inputs))
    return keras.Model(inputs, table(L.Dense(5)(x), reverse=True))


def scores_of_words(*layers):
    """The scores are read by units, but belong to words, which hold still all the same."""
    inputs = keras.Input((4,), dtype="int32")
    table = L.ReversibleEmbedding(7, 5)
    x = L.GlobalAveragePooling1D()(L.Dense(5, activation="relu")(table(inputs)))
    x = table(x, reverse=True)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, L.Dense(3)(x))


def with_states():
    inputs = keras.Input(SEQUENCE)
    y, h, c = L.LSTM(5, return_state=True, return_sequences=True)(inputs)
    z = L.LSTM(5)(y, initial_state=[h, c])
    return keras.Model(inputs, L.Dense(2)(z))


def zero_padded_shortcut(x):
    """A residual block whose shortcut is padded with zero channels (ResNet option A)."""
    short = ops.pad(x[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [2, 3]])
    return short + L.Conv2D(10, 3, strides=2, padding="same")(x)


def masked(layer):
    """A layer over time whose mask is made of hidden units."""

    def build(x):
        steps = L.Dense(3)(L.Flatten()(x))
        return L.RepeatVector(2)(layer(x, mask=steps >= ops.mean(steps, -1, keepdims=True)))

    return sequence(build)


def attention_mask(x):
    pairs = L.Dense(9)(L.Flatten()(x))
    return L.MultiHeadAttention(2, 4)(x, x, attention_mask=L.Reshape((3, 3))(pairs) > 0)


def from_constant_states(x):
    states = [ops.convert_to_tensor(np.arange(15.0).reshape(3, 5)), ops.ones((3, 5))]
    return L.LSTM(5, return_sequences=True)(x, initial_state=states)


def kernel_in_the_graph(x):
    layer = L.Dense(6)
    y = layer(x)
    return ops.matmul(x, layer.kernel) + y


def called(model):
    """The model after a first call, which builds the layers that serve as activations."""
    model(np.ones((1, *model.inputs[0].shape[1:])))
    return model


def across(reverse, *shifts):
    """Units that meet units at other indices, in two ways at once."""

    def build(x):
        first, second = L.Dense(8, name="first")(x), L.Dense(8, name="second")(x)
        turned = ops.flip(first, -1) if reverse else ops.roll(first, 4, -1)
        return [first + turned, *(first * ops.roll(second, shift, -1) for shift in shifts)]

    return chain(VECTOR, build, lambda found: [L.Dense(3)(tensor) for tensor in found])


def by_keyword(x):
    inner = keras.Sequential([keras.Input((6,)), L.Dense(5, activation="relu"), L.Dense(4)])
    return inner(inputs=x)


def states_by_keyword(x):
    states = [L.Dense(5)(L.Flatten()(x)) for _ in range(2)]
    return L.LSTM(5, return_sequences=True)(initial_state=states, sequences=x)


def row(*values):
    """A constant tensor with a batch axis of size 1."""
    return ops.convert_to_tensor(np.array(values)[None])


def waves(*shape):
    """A constant tensor of unequal entries."""
    return ops.convert_to_tensor(np.sin(np.arange(np.prod(shape))).reshape(shape))


SIX = (3.0, 1.0, 4.0, 1.5, 9.0, 2.6)

MODELS = {
    # name: (model, sizes of its groups in any order)
    "Dense": (lambda: vector(), [6]),
    "Dense softmax": (lambda: vector(L.Softmax()), [6]),
    "Dense own activation": (lambda: vector(L.Activation(lambda x: x * ops.tanh(x))), [6]),
    "Dense no bias": (lambda: vector(L.Dense(5, use_bias=False)), [5, 6]),
    "Dense on images": (lambda: image(L.Dense(7)), [5, 7]),
    "EinsumDense": (
        lambda: vector(
            L.EinsumDense("ab,bcd->acd", (2, 3), bias_axes="cd"),
            L.EinsumDense("acd,cde->ae", 5, activation="relu"),
        ),
        [2, 3, 5, 6],
    ),
    "Embedding": (embedded, [4, 5]),
    "Embedding, scores read": (scores_of_words, [5]),
    "Embedding, softmax of scores read": (lambda: scores_of_words(L.Softmax()), [5]),
    "Lambda": (lambda: vector(L.Lambda(lambda x: 2 * x)), [6]),
    "Lambda with arguments": (
        lambda: vector(L.Lambda(lambda x, k=None: x * k, arguments={"k": 2.0})),
        [6],
    ),
    "Lambda of two tensors": (
        lambda: branches(L.Lambda(lambda pair: pair[0] * ops.tanh(pair[1])), 5, 5),
        [5, 7],
    ),
    "Lambda of unequal shapes": (
        lambda: sequence(
            lambda x: L.Lambda(lambda pair: pair[0] * pair[1])([x, L.Dense(1)(x)]),
        ),
        [6],
    ),
    "Lambda over the units": (lambda: vector(L.Lambda(lambda x: ops.normalize(x, -1))), [6]),
    "Lambda over time": (lambda: sequence(L.Lambda(lambda x: ops.cumsum(x, 1))), [6]),
    "activation with weights": (
        lambda: called(vector(L.Dense(5, activation=L.PReLU("normal")))),
        [5, 6],
    ),
    "activation with weights in space": (
        lambda: called(image(L.Conv2D(4, 2, activation=L.PReLU("normal")))),
        [4, 5],
    ),
    "activation with weights in time": (
        lambda: called(sequence(L.LSTM(5, activation=L.PReLU("normal"), return_sequences=True))),
        [5, 6],
    ),
    "activation with weights in space and time": (
        lambda: called(
            chain(
                (3, 5, 5, 2),
                L.ConvLSTM2D(4, 2, activation=L.PReLU("normal")),
                L.Flatten(),
                L.Dense(3),
            )
        ),
        [4],
    ),
    "Conv2D": (lambda: image(), [5]),
    "Conv2D channels first": (
        lambda: chain(
            (2, 6, 6),
            L.Permute((2, 3, 1)),
            L.Conv2D(5, 3),
            L.Permute((3, 1, 2)),
            L.BatchNormalization(axis=1),
            L.MaxPooling2D(data_format="channels_first"),
            L.Flatten(data_format="channels_first"),
            L.Dense(3),
        ),
        [5],
    ),
    "Conv1D": (lambda: sequence(L.Conv1D(4, 2, padding="causal", dilation_rate=2)), [4, 6]),
    "Conv3D": (
        lambda: chain((4, 4, 4, 2), L.Conv3D(5, 2), L.GlobalMaxPooling3D(), L.Dense(3)),
        [5],
    ),
    "Conv2DTranspose": (lambda: image(L.Conv2DTranspose(4, 3, strides=2)), [4, 5]),
    "DepthwiseConv2D": (lambda: image(L.DepthwiseConv2D(3, padding="same")), [5]),
    "DepthwiseConv2D times 3": (lambda: image(L.DepthwiseConv2D(3, depth_multiplier=3)), [5]),
    "DepthwiseConv1D": (lambda: sequence(L.DepthwiseConv1D(2, depth_multiplier=2)), [6]),
    "SeparableConv2D": (lambda: image(L.SeparableConv2D(4, 3, depth_multiplier=2)), [4, 5]),
    "SeparableConv1D": (lambda: sequence(L.SeparableConv1D(4, 2)), [4, 6]),
    "grouped": (lambda: sequence(L.Conv1D(8, 2, groups=2)), [3, 3, 4, 4]),
    "grouped, one channel each": (lambda: sequence(L.Conv1D(12, 2, groups=6)), [6]),
    "grouped on the input": (lambda: chain(SEQUENCE, L.Conv1D(6, 2, groups=3), L.Conv1D(2, 2)), []),
    "channel shuffle": (lambda: image(L.Conv2D(4, 1), channel_shuffle), [2, 2, 3, 3, 5]),
    "BatchNormalization": (lambda: image(L.BatchNormalization(), L.ReLU()), [5]),
    "BatchNormalization renormalized": (lambda: image(L.BatchNormalization(renorm=True)), [5]),
    "BatchNormalization of rows": (lambda: flat(L.BatchNormalization(axis=1)), [5]),
    "LayerNormalization of rows": (lambda: flat(L.LayerNormalization(axis=1)), [5]),
    "LayerNormalization": (lambda: image(L.LayerNormalization()), [5]),
    "LayerNormalization over all": (lambda: image(L.LayerNormalization(axis=[1, 2, 3])), [5]),
    "LayerNormalization over space": (lambda: image(L.LayerNormalization(axis=[1, 2])), [5]),
    "RMSNormalization": (lambda: sequence(L.RMSNormalization()), [6]),
    "GroupNormalization of 1": (lambda: sequence(L.GroupNormalization(1)), [6]),
    "GroupNormalization of 2": (lambda: sequence(L.GroupNormalization(2)), [3, 3]),
    "GroupNormalization of all": (lambda: sequence(L.GroupNormalization(-1)), [6]),
    "UnitNormalization": (lambda: vector(L.UnitNormalization()), [6]),
    "SpectralNormalization": (lambda: vector(L.SpectralNormalization(L.Dense(5))), [5, 6]),
    "SpectralNormalization depthwise": (
        lambda: image(L.SpectralNormalization(L.DepthwiseConv2D(2, depth_multiplier=3))),
        [5],
    ),
    "SpectralNormalization transposed": (
        lambda: image(L.SpectralNormalization(L.Conv2DTranspose(4, 2))),
        [4, 5],
    ),
    "Normalization": (
        lambda: chain(
            VECTOR,
            L.Normalization(mean=1.0, variance=2.0),
            L.Dense(5),
            L.Rescaling(2.0),
            L.Dense(3),
        ),
        [5],
    ),
    "Rescaling by channel": (lambda: vector(L.Rescaling([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), []),
    "PReLU": (lambda: image(L.PReLU()), [5]),
    "PReLU flattened": (
        lambda: chain(IMAGE, L.Conv2D(5, 3), L.PReLU(), L.Flatten(), L.Dense(3)),
        [5],
    ),
    "bias of positions, flattened": (
        lambda: flat(L.EinsumDense("abc,cd->abd", (4, 6), bias_axes="bd")),
        [5, 6],
    ),
    "PReLU shared": (lambda: image(L.PReLU(shared_axes=[1, 2])), [5]),
    "Flatten": (lambda: chain(IMAGE, L.Conv2D(5, 3), L.Flatten(), L.Dense(3)), [5]),
    "Flatten twice": (
        lambda: chain(
            IMAGE,
            L.Conv2D(5, 3),
            lambda x: L.Add()(
                [L.Dense(7)(L.Flatten()(x)), L.Dense(7)(L.Flatten()(ops.flip(x, 1)))]
            ),
            L.Dense(3),
        ),
        [5, 7],
    ),
    "Reshape": (lambda: image(L.Reshape((16, 5)), L.Conv1D(4, 2), L.Reshape((5, 3, 4))), [4, 5]),
    "Reshape of units": (lambda: vector(L.Reshape((2, 3)), L.Conv1D(4, 2)), [3, 4]),
    "Permute": (lambda: image(L.Permute((3, 2, 1)), L.Permute((3, 2, 1))), [5]),
    "RepeatVector": (lambda: vector(L.RepeatVector(3), L.LSTM(4)), [4, 6]),
    "padding": (lambda: image(L.ZeroPadding2D(2), L.Cropping2D(1), L.UpSampling2D(2)), [5]),
    "pooling": (
        lambda: image(
            L.AveragePooling2D(2, strides=1), L.MaxPooling2D(2, strides=1), L.Resizing(5, 5)
        ),
        [5],
    ),
    "padding in front": (
        lambda: sequence(
            L.Permute((2, 1)),
            L.ZeroPadding1D(2, data_format="channels_first"),
            L.Permute((2, 1)),
        ),
        [6],
    ),
    "augmentation": (lambda: image(L.RandomFlip(), L.RandomZoom(0.1), L.RandomCrop(4, 4)), [5]),
    "global pooling": (
        lambda: chain(IMAGE, L.Conv2D(5, 3), L.GlobalAveragePooling2D(), L.Dense(3)),
        [5],
    ),
    "dropout": (lambda: image(L.SpatialDropout2D(0.5), L.GaussianNoise(0.5), L.Dropout(0.5)), [5]),
    "Add": (lambda: branches(L.Add(), 5, 5), [5, 7]),
    "Add of unequal ranks": (
        lambda: image(lambda x: L.Add()([x, L.Dense(5)(L.GlobalAveragePooling2D()(x))])),
        [5],
    ),
    "Concatenate": (lambda: branches(L.Concatenate(), 5, 6), [5, 6, 7]),
    "Concatenate the same": (
        lambda: vector(lambda x: L.Concatenate()([L.ReLU()(x), L.ReLU()(-x)])),
        [6],
    ),
    "Concatenate in time": (
        lambda: sequence(lambda x: L.Concatenate(axis=1)([x, L.Conv1D(6, 2)(x)])),
        [6],
    ),
    "Concatenate added to": (
        lambda: vector(lambda x: x + L.Concatenate()([L.Dense(2)(x), L.Dense(4)(x)])),
        [2, 4],
    ),
    "Concatenate with the input": (
        lambda: chain(VECTOR, lambda x: L.Concatenate()([L.Dense(5)(x), x]), L.Dense(3)),
        [5],
    ),
    "Add a constant": (lambda: vector(lambda x: L.Add()([x, row(*SIX)])), []),
    "Add a constant of steps": (
        lambda: sequence(lambda x: L.Add()([x, ops.reshape(row(1.0, 2.0, 3.0), (1, 3, 1))])),
        [6],
    ),
    "Dot with a constant": (
        lambda: vector(lambda x: L.Dot(1)([x, ops.ones((3, 1)) * row(*SIX)])),
        [],
    ),
    "Dot": (lambda: branches(L.Dot(axes=1, normalize=True), 5, 5), [5, 7]),
    "residual": (residual, [5, 5, 6]),
    "residual with the input": (lambda: chain(VECTOR, lambda x: x + L.Dense(4)(x), L.Dense(2)), []),
    "called twice": (called_twice, [4, 5, 6]),
    "called on its own output": (lambda: vector(*[L.Dense(6)] * 3), [6]),
    "weights set equal": (tied_kernels, [6, 6, 6]),
    "nested, called twice": (nested, [5, 6, 6]),
    "nested with dictionaries": (nested_branches, [4, 5, 6]),
    "nested, called by keyword": (lambda: vector(by_keyword), [4, 5, 6]),
    "squeeze and excite": (lambda: image(squeeze_excite), [4, 5]),
    "spatial attention": (lambda: image(spatial_attention), [5]),
    "zero-padded shortcut": (lambda: image(zero_padded_shortcut), [2, 3, 5]),
    "mixer": (lambda: sequence(mixer), [5, 6, 8]),
    "SimpleRNN": (lambda: sequence(L.SimpleRNN(5, return_sequences=True)), [5, 6]),
    "GRU": (lambda: sequence(L.GRU(5, return_sequences=True)), [5, 6]),
    "GRU reset before": (
        lambda: sequence(L.GRU(5, reset_after=False, return_sequences=True)),
        [5, 6],
    ),
    "LSTM": (lambda: sequence(L.LSTM(5, return_sequences=True)), [5, 6]),
    "LSTM states": (with_states, [5]),
    "LSTM states by keyword": (lambda: sequence(states_by_keyword), [5, 6]),
    "LSTM from constant states": (lambda: sequence(from_constant_states), [6]),
    "LSTM masked by units": (lambda: masked(L.LSTM(5)), [5, 6]),
    "global pooling masked by units": (lambda: masked(L.GlobalAveragePooling1D()), [6]),
    "RNN stacked": (
        lambda: sequence(L.RNN([L.LSTMCell(4), L.GRUCell(5)], return_sequences=True)),
        [4, 5, 6],
    ),
    "Bidirectional": (
        lambda: sequence(L.Bidirectional(L.LSTM(4, return_sequences=True))),
        [4, 4, 6],
    ),
    "Bidirectional summed": (
        lambda: sequence(L.Bidirectional(L.GRU(4, return_sequences=True), "sum")),
        [4, 6],
    ),
    "ConvLSTM2D": (lambda: chain((3, 5, 5, 2), L.ConvLSTM2D(4, 2), L.Flatten(), L.Dense(3)), [4]),
    "TimeDistributed": (
        lambda: chain(
            (3, *IMAGE),
            L.TimeDistributed(L.Conv2D(5, 3)),
            L.TimeDistributed(L.Flatten()),
            L.Dense(3),
        ),
        [5],
    ),
    "TimeDistributed model": (
        lambda: sequence(
            L.TimeDistributed(keras.Sequential([keras.Input((6,)), L.Dense(5), L.Dense(4)]))
        ),
        [4, 5, 6],
    ),
    "MultiHeadAttention": (
        lambda: sequence(lambda x: L.MultiHeadAttention(3, 4, 5)(x, x)),
        [3, 4, 4, 4, 5, 5, 5, 6, 6],
    ),
    "MultiHeadAttention residual": (
        lambda: sequence(lambda x: x + L.MultiHeadAttention(3, 4)(x, x)),
        [3, 4, 4, 4, 4, 4, 4, 6],
    ),
    "MultiHeadAttention gated": (
        lambda: sequence(lambda x: L.MultiHeadAttention(2, 4, use_gate=True)(x, x)),
        [2, 4, 4, 4, 4, 6, 6],
    ),
    "MultiHeadAttention masked by units": (
        lambda: sequence(attention_mask),
        [2, 4, 4, 4, 4, 6, 6],
    ),
    "MultiHeadAttention to a constant": (
        lambda: sequence(lambda x: L.MultiHeadAttention(2, 4)(x, waves(3, 2, 6))),
        [2, 4, 4, 4, 4, 6, 6],
    ),
    "GroupQueryAttention": (lambda: sequence(grouped_query), [2, 2, 2, 3, 3, 3, 3, 6, 6]),
    "Attention": (
        lambda: sequence(
            lambda x: L.Attention()([L.Dense(5)(x), L.Dense(4)(x), L.Dense(5, name="key")(x)])
        ),
        [4, 5, 6],
    ),
    "Attention to a constant": (
        lambda: sequence(lambda x: L.Attention()([x, waves(3, 2, 6)])),
        [],
    ),
    "AdditiveAttention": (
        lambda: sequence(lambda x: L.AdditiveAttention()([L.Dense(5)(x), L.Dense(5)(x)])),
        [5, 6],
    ),
    "own attention": (lambda: sequence(own_attention), [4, 4, 4, 4, 6, 6]),
    "attention by matmul": (lambda: sequence(matmul_attention), [4, 4, 4, 4, 6]),
    "slices": (lambda: vector(pick), [2, 2, 2]),
    "split": (lambda: vector(lambda x: ops.multiply(*ops.split(x, 2, -1))), [3]),
    "gated linear unit": (lambda: vector(L.Dense(10), lambda x: ops.glu(x)), [5, 6]),
    "crossed": (lambda: vector(crossed, units=4), [2]),
    "stack": (lambda: vector(lambda x: ops.stack([x, ops.tanh(x)], 1), L.Conv1D(4, 2)), [4, 6]),
    "padded": (lambda: vector(lambda x: ops.pad(x, [[0, 0], [1, 2]], constant_values=1.0)), [6]),
    "repeated": (lambda: vector(lambda x: ops.repeat(x, 2, -1)), [6]),
    "rolled": (lambda: vector(lambda x: x * ops.roll(x, 2, -1)), [2]),
    "rolled by one": (lambda: vector(lambda x: x * ops.roll(x, 1, -1)), []),
    "flipped": (lambda: vector(lambda x: x + ops.flip(x, -1)), [3]),
    "flipped, others rolled by two": (lambda: across(True, 2), [4]),
    "flipped, others rolled twice": (lambda: across(True, 2, 1), []),
    "rolled by half, others by two": (lambda: across(False, 2), [4]),
    "part of a mean": (lambda: vector(lambda x: ops.mean(x[:, :2], -1, keepdims=True) + x), [2, 4]),
    "times a constant array": (lambda: vector(lambda x: x * np.arange(6.0)), []),
    "times a constant matrix": (
        lambda: vector(lambda x: ops.matmul(x, np.arange(30.0).reshape(6, 5) % 7)),
        [],
    ),
    "average": (
        lambda: vector(lambda x: ops.subtract(x, ops.average(x, axis=-1)[:, None])),
        [6],
    ),
    "einsum with a constant": (
        lambda: sequence(lambda x: ops.einsum("bti,ts->bsi", x, np.arange(9.0).reshape(3, 3))),
        [6],
    ),
    "a kernel in the graph": (lambda: vector(kernel_in_the_graph), []),
    "tensordot with a constant": (
        lambda: sequence(
            lambda x: ops.tensordot(x, np.arange(6.0).reshape(3, 2), [[1], [0]]),
            L.Permute((2, 1)),
        ),
        [6],
    ),
    "unstacked in time": (lambda: sequence(lambda x: ops.stack(ops.unstack(x, axis=1), 1)), [6]),
    "broadcast": (
        lambda: vector(lambda x: ops.broadcast_to(ops.expand_dims(x, 1), (3, 2, 6))),
        [6],
    ),
    "hstack": (lambda: branches(ops.hstack, 5, 4), [4, 5, 7]),
    "layer_normalization": (lambda: vector(lambda x: ops.layer_normalization(x)), [6]),
    "layer_normalization by constants": (
        lambda: vector(lambda x: ops.layer_normalization(x, np.ones(6), np.array(SIX))),
        [],
    ),
    "layer_normalization by a list": (
        lambda: vector(lambda x: ops.layer_normalization(x, gamma=list(SIX))),
        [],
    ),
    "rms_normalization": (lambda: vector(lambda x: ops.rms_normalization(x)), [6]),
    "clipped by an array": (lambda: vector(lambda x: ops.clip(x, np.arange(6.0) - 9, 1.0)), []),
    "elementwise": (
        lambda: vector(lambda x: ops.where(x > 0, x**2, ops.exp(-ops.abs(x)) - 1.0)),
        [6],
    ),
    "elementwise with a list": (
        lambda: vector(lambda x: ops.where([True, False] * 3, x, -x)),
        [],
    ),
    "elementwise with a tuple of a name": (
        lambda: vector(lambda x: ops.arctan2(x1=x, x2=SIX)),
        [],
    ),
    "norm": (lambda: vector(lambda x: x / ops.norm(x, axis=-1, keepdims=True)), [6]),
    "moved axes": (
        lambda: image(lambda x: ops.moveaxis(x, -1, 1), lambda x: ops.moveaxis(x, 1, -1)),
        [5],
    ),
    "squeezed": (lambda: vector(lambda x: ops.squeeze(ops.expand_dims(x, 1), 1)), [6]),
    "two outputs": (
        lambda: chain(VECTOR, L.Dense(6), lambda x: [L.Dense(3)(x), L.Dense(2)(x)]),
        [6],
    ),
    "hidden layer as an output": (
        lambda: chain(VECTOR, L.Dense(6), lambda x: [L.Dense(3)(x), x]),
        [],
    ),
    "tiled": (lambda: vector(lambda x: ops.tile(x, [1, 2])), [6]),
    "taken": (lambda: vector(lambda x: ops.take(x, [2, 0, 3, 3, 4, 4, 1], -1), units=5), [2, 3]),
    "cumulative sum": (lambda: vector(lambda x: ops.cumsum(x, -1)), []),
    "softmax of all": (lambda: sequence(lambda x: ops.softmax(x, axis=None)), [6]),
    "masked softmax": (
        lambda: chain(VECTOR, lambda x: L.Softmax()(L.Dense(4)(x), mask=x > 0), L.Dense(3)),
        [],
    ),
    "Reshape of unknown length": (
        lambda: sequence(L.EinsumDense("abc,cde->abde", (None, 1, 4)), L.Reshape((3, 4))),
        [4, 6],
    ),
}
