import keras
import numpy as np
import pytest

from mc_keras.architecture import check_same_architecture
from mc_keras.cloning import clone
from tests.networks import batch_norm_network


def test_clone_has_weights_of_its_own():
    model = batch_norm_network()
    copy = clone(model)
    check_same_architecture(model, copy)
    assert not {id(v) for v in model.variables} & {id(v) for v in copy.variables}


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_clone_of_the_users_own_layers_and_functions():
    def cube(x):
        return x**3

    inner = keras.Sequential([keras.Input((4,)), Doubled(), keras.layers.Lambda(lambda x: x + 1)])
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation=lambda x: x * keras.ops.tanh(x))(inputs)
    x = inner(keras.layers.Dense(4, activation=cube)(x))
    x = keras.layers.Lambda(lambda x: np.float32(2) * keras.ops.tanh(x))(x)
    model = keras.Model(inputs, keras.ops.abs(keras.layers.Dense(2)(x)))
    copy = clone(model)
    check_same_architecture(model, copy)
    copy.set_weights(model.get_weights())
    batch = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(copy(batch), model(batch))


@keras.saving.register_keras_serializable("tests")
def twice(x):
    return 2 * x


class Applied(keras.layers.Layer):
    """Reads its function as Keras's guide has it."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)

    def get_config(self):
        function = keras.saving.serialize_keras_object(self.function)
        return {**super().get_config(), "function": function}

    @classmethod
    def from_config(cls, config):
        config["function"] = keras.saving.deserialize_keras_object(config["function"])
        return cls(**config)


class OwnLambda(keras.layers.Lambda):
    pass


def powers(k):
    def power(x):
        return keras.ops.abs(x) ** k

    return power


def test_functions_of_layers_are_handed_over():
    steps = [
        Applied(twice),
        Applied(keras.activations.relu),
        OwnLambda(lambda x: x + 1),
        keras.layers.TimeDistributed(keras.layers.Dense(3, activation=powers(2))),
        keras.layers.TimeDistributed(keras.layers.Dense(3, activation=powers(1.5))),
        keras.layers.GRU(4, activation=powers(0.5)),
        keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(2.0)]),  # has no weights
    ]
    model = keras.Sequential([keras.Input((5, 3)), *steps])
    copy = clone(model)
    copy.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype("float32")
    np.testing.assert_array_equal(copy(x), model(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_vocabularies_that_were_adapted_are_refused_with_the_way_out():
    def network(lookup):
        inputs = keras.Input((4,), dtype="int64")
        x = keras.layers.Flatten()(keras.layers.Embedding(5, 3)(lookup(inputs)))
        return keras.Model(inputs, keras.layers.Dense(2)(x))

    lookup = keras.layers.IntegerLookup(vocabulary=[7, 9, 11])
    x = np.array([[7, 9, 9, 11]])
    model = network(lookup)
    copy = clone(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(x), model(x))
    lookup = keras.layers.IntegerLookup(name="words")
    lookup.adapt(x)
    with pytest.raises(TypeError, match="'words' .* give the layer its `vocabulary`"):
        clone(network(lookup))


def test_layers_that_hold_weights_of_another_are_refused_with_the_way_out():
    class Transposed(keras.layers.Layer):
        def __init__(self, dense, **kwargs):
            super().__init__(**kwargs)
            self.dense = dense

        def build(self, shape):
            if not self.dense.built:
                self.dense.build((None, 4))

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.transpose(self.dense.kernel))

        def get_config(self):
            return {
                **super().get_config(),
                "dense": keras.saving.serialize_keras_object(self.dense),
            }

        @classmethod
        def from_config(cls, config):
            dense = keras.saving.deserialize_keras_object(config.pop("dense"))
            return cls(dense, **config)

    dense, inputs = keras.layers.Dense(3), keras.Input((4,))
    clone(keras.Sequential([keras.Input((3,)), Transposed(keras.layers.Dense(3))]))
    with pytest.raises(TypeError, match="other weights when it is rebuilt .* share a layer"):
        clone(keras.Model(inputs, Transposed(dense)(dense(inputs))))


def test_layers_without_a_configuration_are_told():
    class Power(keras.layers.Layer):
        def __init__(self, exponent):
            super().__init__()
            self.exponent = exponent

        def call(self, x):
            return x**self.exponent

    with pytest.raises(
        TypeError, match=r"get_config and from_config\. Keras says: Object Power was"
    ):
        clone(keras.Sequential([keras.Input((3,)), Power(np.arange(3))]))
    pair = [keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), Power(i)]) for i in (1, 2)]
    with pytest.raises(ValueError, match="differs in 'exponent'"):
        check_same_architecture(*pair)
    tail = [lambda: keras.layers.Dense(3), lambda: Power(np.arange(3))]
    pair = [keras.Sequential([keras.Input((3,)), *(make() for make in tail)]) for _ in range(2)]
    with pytest.raises(TypeError, match="get_config and from_config"):
        check_same_architecture(*pair)


def test_subclassed_models_are_refused_with_the_way_out():
    model = Subclassed()
    model(np.ones((1, 3)))
    with pytest.raises(TypeError, match=r"wrap it as keras.Model\(inputs, model\(inputs\)\)"):
        clone(model)
    with pytest.raises(TypeError, match=r"wrap it as keras.Model\(inputs, model\(inputs\)\)"):
        check_same_architecture(model, model)
