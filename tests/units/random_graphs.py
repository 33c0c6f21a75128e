"""Random models for hypothesis: branches, residuals, shared and nested layers of many kinds."""

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers as L
from keras import ops

ACTIVATIONS = st.sampled_from(["relu", "tanh", "gelu", "softmax", "linear"])
WIDTHS = st.sampled_from([3, 4, 6])


registered = keras.saving.register_keras_serializable("tests")


@registered
def scaled(x, rate):
    return x * rate


@registered
def with_reversed_batch(x):
    return x + 0.5 * ops.flip(x, 0)


@registered
def over_sum(x):
    return x / (1 + ops.sum(ops.abs(x), -1, keepdims=True))


@registered
def gated(pair):
    return pair[0] * ops.tanh(pair[1])


class Builder:
    """Grows a graph: each step reads tensors that exist and adds one."""

    def __init__(self, draw):
        self.draw = draw
        self.shared = {}

    def dense(self, x):
        return L.Dense(
            self.draw(WIDTHS), activation=self.draw(ACTIVATIONS), use_bias=self.draw(st.booleans())
        )(x)

    def shared_dense(self, x):
        layer = self.shared.setdefault(("dense", x.shape[-1]), L.Dense(6, activation="tanh"))
        return layer(x)

    def nested(self, x):
        key = ("nested", x.shape[1:])
        if key not in self.shared:
            inner = keras.Input(x.shape[1:], name="inner")
            y = inner
            for _ in range(2):
                y = self.step(y, same_rank=True)
            self.shared[key] = keras.Model(inner, y)
        return self.shared[key](x)

    def nested_sequential(self, x):
        return keras.Sequential([L.Dense(self.draw(WIDTHS), activation="relu"), L.Dense(5)])(x)

    def residual(self, x):
        return L.Add()([x, L.Dense(x.shape[-1])(self.dense(x))])

    def concatenation(self, x):
        return L.Concatenate()([x, self.dense(x), ops.tanh(x)])

    def product(self, x):
        return L.Multiply()([x, L.Dense(x.shape[-1], activation="sigmoid")(x)])

    def constant(self, x):
        """A constant for each unit, which holds it still, or for each index of another axis."""
        axis = self.draw(st.integers(1, len(x.shape) - 1))
        shape = [1] * len(x.shape)
        shape[axis] = x.shape[axis]
        values = np.sin(np.arange(x.shape[axis])).reshape(shape)
        if self.draw(st.booleans()):
            return x * values
        # Not a sum: Keras adds any constant along one axis to the channels if there are as many.
        return L.Subtract()([x, ops.convert_to_tensor(values)])

    def function(self, x):
        """A function that is known only by trying it."""
        choices = [
            lambda: L.Lambda(scaled, arguments={"rate": 0.5})(x),
            lambda: L.Lambda(with_reversed_batch)(x),
            lambda: L.Activation(over_sum)(x),
            lambda: L.Lambda(gated)([x, self.residual(x)]),
        ]
        return self.draw(st.sampled_from(choices))()

    def wrapped(self, x):
        return L.SpectralNormalization(L.Dense(self.draw(WIDTHS)))(x)

    def batch_norm(self, x):
        return L.BatchNormalization()(x)

    def layer_norm(self, x):
        return L.LayerNormalization()(x)

    def group_norm(self, x):
        return L.GroupNormalization(3 if x.shape[-1] % 3 == 0 else 1)(x)

    def prelu(self, x):
        return L.PReLU()(x)

    def halves(self, x):
        if x.shape[-1] % 2:
            return x
        first, second = ops.split(x, 2, axis=-1)
        return first * ops.sigmoid(second)

    def part(self, x):
        return x[..., : max(x.shape[-1] - 1, 2)]

    def reverse(self, x):
        return ops.flip(x, axis=-1)

    def scaled(self, x):
        return x / (1.0 + ops.mean(ops.abs(x), axis=-1, keepdims=True))

    def reshaped(self, x):
        size = x.shape[-1]
        inner = 2 if size % 2 == 0 else 1
        split = L.Reshape((*x.shape[1:-1], size // inner, inner))(x)
        swapped = ops.swapaxes(split, -1, -2) if self.draw(st.booleans()) else split
        return L.Reshape((*x.shape[1:-1], size))(swapped)

    def conv1d(self, x):
        groups = 2 if x.shape[-1] % 2 == 0 and self.draw(st.booleans()) else 1
        return L.Conv1D(self.draw(st.sampled_from([4, 6])), 2, padding="same", groups=groups)(x)

    def recurrent(self, x):
        kind = self.draw(st.sampled_from([L.SimpleRNN, L.GRU, L.LSTM]))
        layer = kind(self.draw(WIDTHS), return_sequences=True)
        mask = self.steps(x) if self.draw(st.booleans()) else None
        return (L.Bidirectional(layer) if self.draw(st.booleans()) else layer)(x, mask=mask)

    def attention(self, x):
        mask = ops.expand_dims(self.steps(x), 1) if self.draw(st.booleans()) else None
        y = self.dense(x)
        if self.draw(st.booleans()):
            y = ops.convert_to_tensor(np.sin(np.arange(15 * x.shape[1])).reshape(3, -1, 5))
        return L.MultiHeadAttention(2, 3, value_dim=2)(x, y, attention_mask=mask)

    def steps(self, x):
        """A mask over time made of hidden units, true somewhere."""
        scores = L.Dense(x.shape[1])(L.Flatten()(x))
        return scores >= ops.mean(scores, -1, keepdims=True)

    def pooled_steps(self, x):
        return L.GlobalAveragePooling1D()(x, mask=self.steps(x))

    def each_step(self, x):
        return L.TimeDistributed(L.Dense(self.draw(WIDTHS), activation="tanh"))(x)

    def mixer(self, x):
        y = self.over_time(L.LayerNormalization()(x))
        x = x + L.Permute((2, 1))(L.Dense(x.shape[1])(L.Permute((2, 1))(y)))
        return self.residual(L.LayerNormalization()(x))

    def over_time(self, x):
        return L.Permute((2, 1))(L.Dense(x.shape[1])(self.dense(L.Permute((2, 1))(x))))

    def conv2d(self, x):
        size = self.draw(st.sampled_from([1, 3]))
        return L.Conv2D(self.draw(WIDTHS), size, padding="same", activation="relu")(x)

    def residual_conv(self, x):
        return x + L.Conv2D(x.shape[-1], 3, padding="same")(self.conv2d(x))

    def depthwise(self, x):
        multiplier = self.draw(st.sampled_from([1, 2]))
        return L.DepthwiseConv2D(3, padding="same", depth_multiplier=multiplier)(x)

    def separable(self, x):
        return L.SeparableConv2D(self.draw(WIDTHS), 3, padding="same")(x)

    def squeeze_excite(self, x):
        y = self.dense(L.GlobalAveragePooling2D()(x))
        y = L.Reshape((1, 1, x.shape[-1]))(L.Dense(x.shape[-1], activation="sigmoid")(y))
        return L.Multiply()([x, y])

    def pooled(self, x):
        return L.MaxPooling2D(3, strides=1, padding="same")(x)

    def tokens(self, x):
        return L.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)

    def flat(self, x):
        return L.Flatten()(x)

    def averaged(self, x):
        return (L.GlobalAveragePooling2D if len(x.shape) == 4 else L.GlobalMaxPooling1D)()(x)

    def repeated(self, x):
        return L.RepeatVector(2)(x)

    def step(self, x, same_rank=False):
        choices = ANY + OF_RANK[len(x.shape)]
        if same_rank:
            choices = [choice for choice in choices if choice not in CHANGES_RANK]
        return self.draw(st.sampled_from(choices))(self, x)


B = Builder
ANY = [B.dense, B.shared_dense, B.nested_sequential, B.residual, B.concatenation, B.product]
ANY += [B.batch_norm, B.layer_norm, B.group_norm, B.prelu, B.halves, B.part, B.reverse, B.scaled]
ANY += [B.reshaped, B.nested, B.constant, B.function, B.wrapped]
OF_RANK = {
    2: [B.repeated],
    3: [B.conv1d, B.recurrent, B.attention, B.over_time, B.mixer, B.each_step],
    4: [B.conv2d, B.residual_conv, B.depthwise, B.separable, B.squeeze_excite, B.pooled],
}
OF_RANK[3] += [B.flat, B.averaged, B.pooled_steps]
OF_RANK[4] += [B.tokens, B.flat, B.averaged]
CHANGES_RANK = [B.repeated, B.tokens, B.flat, B.averaged, B.pooled_steps, B.nested]


@st.composite
def models(draw, max_steps=7):
    """A model of up to `max_steps` random steps on an image, a sequence or a vector."""
    builder = Builder(draw)
    inputs = keras.Input(draw(st.sampled_from([(4, 4, 2), (3, 4), (5,)])))
    tensors = [L.Dense(draw(WIDTHS))(inputs)]
    for _ in range(draw(st.integers(1, max_steps))):
        source = tensors[draw(st.integers(0, len(tensors) - 1))]
        alike = [t for t in tensors if t.shape == source.shape and t is not source]
        if alike and draw(st.booleans()):
            merge = draw(st.sampled_from([L.Add, L.Maximum, L.Multiply, L.Concatenate]))
            tensors.append(merge()([source, draw(st.sampled_from(alike))]))
        else:
            tensors.append(builder.step(source))
    last = tensors[-1]
    return keras.Model(inputs, [L.Dense(3)(last), L.Dense(2)(L.Flatten()(tensors[-2]))])
