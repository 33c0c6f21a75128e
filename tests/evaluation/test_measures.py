import keras
import numpy as np
import pytest

from mc_keras.evaluation.measures import Measures
from tests.networks import classification_data, dense_network


@pytest.fixture
def split():
    return classification_data((5,), 60)


def run(measures, model, x, y, sizes):
    """Values of one point, in batches of these sizes."""
    accumulators = [a[0] for a in measures.initial(1)]
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        accumulators = measures.update(accumulators, y[part], model(x[part]))
        start += size
    return [v[0] for v in measures.results([np.asarray(a)[None] for a in accumulators])]


def test_uneven_batches_count_by_their_examples(split):
    model, (x, y) = dense_network(), split
    measures = Measures(model, x, y)
    whole = run(measures, model, x, y, [60])
    assert run(measures, model, x, y, [1, 42, 17]) == pytest.approx(whole, rel=1e-6)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, model(x))
    accuracy = (np.asarray(model(x)).argmax(1) == y).mean()
    assert whole == pytest.approx([float(loss), accuracy], rel=1e-6)


def test_directions(split):
    x, y = split
    metrics = ["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="nll")]
    measures = Measures(dense_network(), x, y, None, metrics)
    assert measures.directions(["val"]) == {
        "val_loss": True,
        "val_accuracy": False,
        "val_nll": True,
    }


def test_directions_that_keras_does_not_tell():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    x, y = np.ones((6, 4), "float32"), np.array([0, 1, 1, 0, 1, 0])
    metrics = ["TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"]
    directions = Measures(model, x, y, None, metrics).directions(["test"])
    assert list(directions.values()) == [True, False, False, True, True]


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize(
    "name", ["sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"]
)
def test_cross_entropies_by_name_take_what_the_model_gives(split, name, activation):
    model, (x, y) = dense_network(), split
    given = model if activation is None else keras.Sequential([model, keras.layers.Softmax()])
    expected = run(Measures(model, x, y, None, []), model, x, y, [60])
    assert run(Measures(given, x, y, name, [name]), given, x, y, [60]) == pytest.approx(
        expected * 2, rel=1e-5
    )


@pytest.mark.parametrize("units", [2, 3, 6])
def test_losses_that_do_not_fit_the_targets_are_refused(units):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    x = np.ones((6, 4), "float32")
    with pytest.raises(ValueError, match="'mean_squared_error' cannot be computed for outputs"):
        Measures(model, x, np.arange(6) % 2, "mean_squared_error")
    for name in ("mse", "categorical_crossentropy", keras.losses.MeanSquaredError()):
        with pytest.raises(
            ValueError, match=rf"targets of shape \({units},\), or leave out this l"
        ):
            Measures(model, x, np.arange(6) % 2, name)
    with pytest.raises(ValueError, match=rf"targets of shape \({units},\), or leave out this m"):
        Measures(model, x, np.arange(6) % 2, metrics=["mse"])


def test_other_losses_by_name(split):
    model, (x, _) = dense_network(), split
    y = np.asarray(model(x)) + 2
    assert run(Measures(model, x, y, "mse", ["mae"]), model, x, y, [60]) == pytest.approx([4, 2])


def test_a_metric_of_the_user_is_left_empty(split):
    x, y = split
    metric = keras.metrics.SparseCategoricalAccuracy()
    Measures(dense_network(), x, y, None, [metric])
    assert [float(v) for v in metric.variables] == [0, 0]


def test_functions_are_losses_and_metrics(split):
    model, (x, y) = dense_network(), split

    def first_logit(y, outputs):
        return outputs[:, 0]

    measures = Measures(model, x, y, first_logit, [first_logit])
    assert measures.names == ("loss", "first_logit")
    expected = float(np.asarray(model(x))[:, 0].mean())
    assert run(measures, model, x, y, [25, 35]) == pytest.approx([expected] * 2, rel=1e-5)


def test_a_metric_of_many_numbers_is_refused(split):
    x, y = split
    metric = keras.metrics.F1Score(name="f1")
    one_hot = np.eye(3, dtype="float32")[y]
    with pytest.raises(ValueError, match=r"'f1' cannot be computed .* not one number"):
        Measures(dense_network(), x, one_hot, None, [metric])
    averaged = keras.metrics.F1Score(average="macro", name="f1")
    measures = Measures(dense_network(), x, one_hot, None, [averaged])
    assert measures.directions(["test"])["test_f1"] is False


def test_a_loss_that_is_a_mean_counts_for_the_examples_of_its_batch(split):
    model, (x, y) = dense_network(), split
    elementwise = keras.losses.sparse_categorical_crossentropy

    def mean(y, outputs):
        return keras.ops.mean(elementwise(y, outputs, from_logits=True))

    whole = run(Measures(model, x, y), model, x, y, [60])
    assert run(Measures(model, x, y, mean), model, x, y, [1, 42, 17]) == pytest.approx(whole)
    nameless = Measures(model, x, y, lambda y, outputs: mean(y, outputs))
    assert run(nameless, model, x, y, [60]) == pytest.approx(whole)


def test_elements_that_the_loss_ignores_do_not_count():
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.Dense(3)])
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(20, 5, 4)), generator.integers(-1, 3, (20, 5))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    found, *_ = run(Measures(model, x, y, loss, []), model, x, y, [7, 13])
    assert found == pytest.approx(float(loss(y, model(x))), rel=1e-6)


def test_functions_of_one_name_are_told_apart(split):
    model, (x, y) = dense_network(), split

    def scaled(factor):
        def loss(y, outputs):
            return factor * outputs[:, 0]

        return loss

    class Scaled(keras.losses.Loss):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * y_pred[:, 0]

    for kind in (scaled, Scaled):
        one, same, other = (Measures(model, x, y, kind(f)).config for f in (1.0, 1.0, 3.0))
        assert one == same != other
    metrics = [scaled(factor) for factor in (1.0, 3.0)]
    for metric in metrics:
        metric.__name__ = "scaled"
    one, other = (Measures(model, x, y, None, [metric]).config for metric in metrics)
    assert one != other


def numbers(count=60):
    """Targets `(n,)`, and a network whose outputs are `(n, 1)`."""
    x, _ = classification_data((5,), count)
    return dense_network(outputs=1), x, np.random.default_rng(1).normal(size=count)


def mean_absolute_error(y, outputs):
    return keras.ops.mean(keras.ops.abs(y - outputs))


@pytest.mark.parametrize("columns", [0, 1])
@pytest.mark.parametrize(
    "loss", [lambda y, z: (y - z) ** 2, "hinge", "squared_hinge", keras.losses.Hinge, "log_cosh"]
)
def test_targets_with_and_without_a_last_axis_are_those_of_each_example(loss, columns):
    model, x, y = numbers()
    y = np.sign(y).reshape((-1, 1) if columns else -1).astype("float32")
    found = run(Measures(model, x, y, loss, []), model, x, y, [60])
    kind = loss if callable(loss) and not isinstance(loss, type) else keras.losses.get(loss)
    model.compile(loss=kind() if isinstance(kind, type) else kind)
    assert found[0] == pytest.approx(model.evaluate(x, y, verbose=0, batch_size=60), rel=1e-5)


@pytest.mark.parametrize("sizes", [[60], [1, 42, 17]])
def test_one_number_for_a_batch_counts_for_its_examples(sizes):
    model, x, y = numbers()
    measures = Measures(model, x, y, mean_absolute_error, [mean_absolute_error])
    expected = np.abs(np.asarray(model(x))[:, 0] - y).mean()
    assert run(measures, model, x, y, sizes) == pytest.approx([expected] * 2, rel=1e-5)
