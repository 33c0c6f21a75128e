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
