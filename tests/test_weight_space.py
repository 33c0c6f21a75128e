import keras
import numpy as np
import pytest

from mc_keras.weight_space import WeightSpace, check_finite, check_same_architecture, clone
from tests.networks import batch_norm_network, dense_network


def branches(swap=False, activations=("tanh", "tanh"), units=(4, 4)):
    inputs = keras.Input((3,))
    a, b = (
        keras.layers.Dense(n, activation=name)(inputs)
        for n, name in zip(units, activations, strict=True)
    )
    joined = keras.layers.Concatenate()([b, a] if swap else [a, b])
    return keras.Model(inputs, keras.layers.Dense(2)(joined))


def test_variables_and_states_are_the_weights_of_the_model():
    model = batch_norm_network()
    space = WeightSpace(model)
    assert {id(v) for v in space.variables} == {id(v) for v in model.trainable_variables}
    assert [v.name for v in space.state_variables] == ["moving_mean", "moving_variance"] * 2
    assert len(space.seed_variables) == 1
    assert all(
        any(v is w for w in layer.trainable_variables)
        for v, layer in zip(space.variables, space.owners, strict=True)
    )


def test_frozen_layers_stay_on_the_path():
    model = dense_network()
    before = [v.path for v in WeightSpace(model).variables]
    model.layers[0].trainable = False
    assert [v.path for v in WeightSpace(model).variables] == before


def test_call_at_a_point_equals_a_model_with_those_weights():
    rng = np.random.default_rng(0)
    model = batch_norm_network()
    space = WeightSpace(model)
    before = space.read()
    point = [rng.normal(size=v.shape).astype("float32") for v in space.variables]
    state = [rng.uniform(0.5, 1, size=v.shape).astype("float32") for v in space.state_variables]
    x = rng.normal(size=(4, 6, 6, 2)).astype("float32")
    at_point = keras.ops.convert_to_numpy(space(point, x, state=state))
    for a, b in zip(before, space.read(), strict=True):
        np.testing.assert_array_equal(a, b)
    space.write(point, state)
    np.testing.assert_allclose(at_point, model(x, training=False), atol=1e-6)


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


def test_operations_are_part_of_the_structure():
    def build(operation):
        inputs = keras.Input((3,))
        a, b = keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(operation(a, b)))

    check_same_architecture(build(lambda a, b: a + b), build(lambda a, b: a + b))
    with pytest.raises(ValueError, match="is a Add in one and a Multiply in the other"):
        check_same_architecture(build(lambda a, b: a + b), build(lambda a, b: a * b))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: dense_network(widths=(7, 7)), "has 4 weight arrays, .* has 6"),
        (lambda: dense_network(widths=(8,)), r"weight 0 .* shape \(5, 7\) .* shape \(5, 8\)"),
        (lambda: dense_network(activation="tanh"), "layer 1 .Dense. differs in 'activation'"),
    ],
)
def test_different_architectures_are_named(other, message):
    with pytest.raises(ValueError, match=message):
        check_same_architecture(dense_network(), other())


def test_same_shapes_in_another_order():
    first = branches(activations=("tanh", "relu"))
    with pytest.raises(ValueError, match="same shapes, but layer"):
        check_same_architecture(first, branches(activations=("relu", "tanh")))
    with pytest.raises(ValueError, match="The models"):
        check_same_architecture(branches(units=(4, 5)), branches(swap=True, units=(4, 5)))


def test_names_seeds_and_initializers_do_not_matter():
    def build(name, seed):
        return keras.Sequential(
            [
                keras.Input((3,), name=f"{name}_input"),
                keras.layers.Dense(4, name=name, kernel_initializer="he_normal" if seed else None),
                keras.layers.Dropout(0.5, seed=seed),
                keras.layers.Dense(2),
            ]
        )

    check_same_architecture(build("a", 1), build("b", 2))


def test_names_inside_nested_models_do_not_matter():
    def build(units=4):
        inner = keras.Input((3,))
        hidden = keras.layers.Dense(units)(inner)
        nested = keras.Model(inner, keras.layers.Add()([hidden, keras.layers.Dense(units)(inner)]))
        return keras.Sequential([keras.Input((3,)), nested, keras.layers.Dense(2)])

    check_same_architecture(build(), build())
    check_same_architecture(build(), clone(build()))
    with pytest.raises(ValueError, match="differ"):
        check_same_architecture(build(), build(units=5))


def test_unbuilt_and_empty_models_are_refused():
    with pytest.raises(ValueError, match="unbuilt weights"):
        WeightSpace(keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match="no weights"):
        WeightSpace(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]))
    with pytest.raises(TypeError, match="Expected a Keras model"):
        WeightSpace("model.keras")


def test_nan_weights_are_named():
    space = WeightSpace(dense_network())
    point = space.read()
    check_finite(point, space, "start")
    point[1][2] = np.nan
    with pytest.raises(ValueError, match=r"dense.*/bias' of the start model holds NaN"):
        check_finite(point, space, "start")


def test_wrong_points_are_refused():
    space = WeightSpace(dense_network())
    with pytest.raises(ValueError, match="has 4 arrays, received 3"):
        space.write(space.read()[:3])
    point = space.read()
    point[0] = point[0].T
    with pytest.raises(ValueError, match=r"has shape \(5, 7\), received .* \(7, 5\)"):
        space.write(point)
