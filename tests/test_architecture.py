import keras
import pytest

from mc_keras.architecture import check_same_architecture
from mc_keras.cloning import clone
from tests.networks import dense_network


def branches(swap=False, activations=("tanh", "tanh"), units=(4, 4)):
    inputs = keras.Input((3,))
    a, b = (
        keras.layers.Dense(n, activation=name)(inputs)
        for n, name in zip(units, activations, strict=True)
    )
    joined = keras.layers.Concatenate()([b, a] if swap else [a, b])
    return keras.Model(inputs, keras.layers.Dense(2)(joined))


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


def test_texts_of_configurations_are_no_names_of_layers():
    def operations():
        inputs = keras.Input((4,))
        hidden = keras.ops.relu(keras.layers.Dense(8)(keras.layers.Dense(8, "relu")(inputs)))
        return keras.Model(inputs, keras.layers.Dense(3)(hidden))

    def named(activation):
        layers = keras.layers.Dense(8), keras.layers.Activation(activation, name=activation)
        return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3)])

    check_same_architecture(operations(), operations())
    with pytest.raises(ValueError, match="differs in 'activation': 'relu' against 'tanh'"):
        check_same_architecture(named("relu"), named("tanh"))


def test_the_order_of_the_inputs_counts():
    def build(swap):
        inputs = [keras.Input((4,), name=name) for name in ("a", "b")]
        hidden = [keras.layers.Dense(3)(inputs[0]), inputs[1]]
        outputs = keras.layers.Concatenate()(hidden)
        return keras.Model(inputs[::-1] if swap else inputs, outputs)

    check_same_architecture(build(swap=False), build(swap=False))
    with pytest.raises(ValueError, match="inputs"):
        check_same_architecture(build(swap=False), build(swap=True))


def test_what_lambdas_do_counts_and_not_where_they_are():
    def build(function):
        layers = keras.layers.Dense(3), keras.layers.Lambda(function), keras.layers.Dense(2)
        return keras.Sequential([keras.Input((4,)), *layers])

    check_same_architecture(build(lambda h: h * 2), build(lambda h: h * 2))
    for other in (lambda h: h * 3, lambda h: h + 2, lambda h: keras.ops.sin(h)):
        with pytest.raises(ValueError, match="layer 2 .Lambda. differs"):
            check_same_architecture(build(lambda h: h * 2), build(other))
