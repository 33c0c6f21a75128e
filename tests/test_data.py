import collections

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mc_keras.data import as_splits, as_xy, check_data, inputs_of, subset, training_data
from tests.networks import dense_network

X = np.arange(60, dtype="float32").reshape(12, 5)
Y = np.arange(12) % 3
DATASET = tf.data.Dataset.from_tensor_slices((X, Y))
FORMS = {
    "arrays": (X, Y),
    "lists": [X.tolist(), Y.tolist()],
    "sparse": (scipy.sparse.csr_matrix(X), Y),
    "dataset": DATASET,
    "batched dataset": DATASET.batch(5),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_split(form):
    x, y = as_xy(FORMS[form])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(inputs_of(FORMS[form], dense_network()), X)


def test_named_tuples_and_mappings():
    Data = collections.namedtuple("Data", ["train", "test"])
    for data in (Data((X, Y), (X[:4], Y[:4])), {"train": (X, Y), "test": (X[:4], Y[:4])}):
        splits = as_splits(data)
        assert list(splits) == ["train", "test"]
        assert len(splits["test"][0]) == 4
        np.testing.assert_array_equal(training_data(data)[0], X)
    np.testing.assert_array_equal(training_data((X, Y))[0], X)


def test_inputs_alone():
    dataset, model = tf.data.Dataset.from_tensor_slices(X), dense_network()
    whole = dataset.batch(4, drop_remainder=True)
    for form in (X, X.tolist(), dataset, dataset.batch(5), whole):
        np.testing.assert_array_equal(inputs_of(form, model), X)
    np.testing.assert_array_equal(inputs_of(X[:2].tolist(), model), X[:2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X[:0], "empty"),
        (X[:, :4], r"shape \(12, 4\), the model '.*' takes \(None, 5\)"),
        ({"a": X, "b": X}, "takes 1 inputs .* received arrays of shapes"),
        (DATASET.repeat(), "has no end"),
        (DATASET.take(0), "empty"),
    ],
)
def test_inputs_that_do_not_fit(data, message):
    with pytest.raises(ValueError, match=message):
        inputs_of(data, dense_network())


def test_inputs_of_models_of_several():
    inputs = [keras.Input((5,)), keras.Input((2,))]
    model = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    both = [X, X[:, :2]]
    dataset = tf.data.Dataset.from_tensor_slices((tuple(both), Y))
    for form in (both, tuple(both), (both, Y), (tuple(both), Y), dataset, dataset.batch(5)):
        for found, expected in zip(inputs_of(form, model), both, strict=True):
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="takes 2 inputs with one row for each example"):
        inputs_of([X, X[:3, :2]], model)


def test_inputs_are_taken_as_keras_feeds_them():
    image = keras.Sequential([keras.Input((5, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    scalar = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    for model, x in ((image, X), (scalar, X[:, 0])):
        dataset = tf.data.Dataset.from_tensor_slices((x, Y))
        for form in (x, [x], (x, Y), dataset.batch(4), dataset.batch(5), dataset):
            np.testing.assert_array_equal(inputs_of(form, model), x[..., None])
    inputs = [keras.Input((5,), name="long"), keras.Input((2,), name="age")]
    model = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    named = {"age": X[:, :2], "long": X, "more": Y}
    dataset = tf.data.Dataset.from_tensor_slices((named, Y)).batch(5)
    for form in (named, (named, Y), dataset):
        found = inputs_of(form, model)
        assert found.keys() == {"age", "long"}
        for name, array in found.items():
            np.testing.assert_array_equal(array, named[name])


def test_inputs_of_several_shapes_are_refused():
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3)])
    ragged = tf.data.Dataset.from_generator(
        lambda: (np.zeros((4, n, 2)) for n in (3, 5)),
        output_signature=tf.TensorSpec((None, None, 2)),
    )
    with pytest.raises(ValueError, match="several shapes, such as"):
        inputs_of(ragged, model)


def test_data_sets_without_an_end_are_refused():
    with pytest.raises(ValueError, match=r"The data has no end; pass a part of it"):
        as_xy(DATASET.repeat())


@pytest.mark.parametrize("targets", [np.eye(3)[Y], Y[:, None]], ids=["one-hot", "columns"])
def test_data_sets_of_rows_of_targets(targets):
    dataset = tf.data.Dataset.from_tensor_slices((X, targets))
    for form in (dataset, dataset.batch(5), dataset.batch(4, drop_remainder=True)):
        x, y = as_xy(form)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, targets)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((X, Y), TypeError, "Expected splits by name"),
        ({}, ValueError, "at least one split"),
        ({"test": (X[:0], Y[:0])}, ValueError, "split 'test' is empty"),
        ({"test": (X, Y[:5])}, ValueError, "12 inputs and 5 targets"),
        ({"test": X}, TypeError, "split 'test' must be a pair"),
        ({"test": DATASET.take(0)}, ValueError, "split 'test' is empty"),
        ({"test": DATASET.map(lambda x, y: x)}, TypeError, "Dataset of pairs"),
        ({"test": ([X, X[:, :2]], Y)}, ValueError, "inputs of the split 'test' are not one array"),
        ({"test": ([X, X], Y)}, ValueError, "x and y must be one array each"),
        ({"test": (X, {"a": Y})}, ValueError, "targets of the split 'test' are not one array"),
        ({"test": DATASET.map(lambda x, y: ((x, x), y))}, ValueError, "inputs .* not one array"),
        ({"test": DATASET.map(lambda x, y: (x, (y, y)))}, ValueError, "targets .* not one array"),
    ],
)
def test_bad_splits(data, error, message):
    with pytest.raises(error, match=message):
        as_splits(data)


def test_missing_training_split():
    with pytest.raises(ValueError, match="needs data"):
        training_data(None)
    with pytest.raises(ValueError, match=r"named 'train', received \['test'\]"):
        training_data({"test": (X, Y)})


@given(count=st.integers(1, 15), seed=st.integers(0, 9))
def test_subset(count, seed):
    x, y = subset((X, np.arange(12)), count, seed)
    assert len(y) == min(count, 12)
    assert list(y) == sorted(set(y))
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(subset([x], count, seed)[0], x)
    np.testing.assert_array_equal(subset([np.arange(12)], count, seed)[0], y)


def test_subsets_are_drawn_evenly():
    counts = np.bincount(np.concatenate([subset([Y], 4, seed)[0] for seed in range(300)]))
    np.testing.assert_allclose(counts, 400, atol=60)


def test_data_that_do_not_fit_the_model():
    model = dense_network()
    check_data(model, X, Y)
    with pytest.raises(ValueError, match=r"shape \(4,\) for each example, .* takes \(5,\)"):
        check_data(model, X[:, :4], Y)
    with pytest.raises(ValueError, match="labels of the data go from 0 to 3"):
        check_data(model, X, np.arange(12) % 4)
    with pytest.raises(ValueError, match="go from -1 to 1"):
        check_data(model, X, Y - 1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        check_data(model, np.where(X > 50, np.nan, X), Y)
    for labels in (np.array(["a", "b", "c"])[Y], Y.astype(object)):
        with pytest.raises(ValueError, match=f"targets of the data have dtype {labels.dtype}"):
            check_data(model, X, labels)
    with pytest.raises(ValueError, match="inputs of the data have dtype <U"):
        check_data(model, X.astype(str), Y)
    with pytest.raises(ValueError, match="dtype complex64; they must be real numbers"):
        check_data(model, X.astype("complex64"), Y)
    check_data(model, X.astype("bfloat16"), Y.astype("float16"))
    texts = keras.Sequential([keras.Input((1,), dtype="string"), keras.layers.StringLookup()])
    check_data(texts, X[:, :1].astype(str), X[:, :1])
    named = keras.Model(model.inputs[0], {"a": model.outputs[0]})
    with pytest.raises(ValueError, match="which names its outputs"):
        check_data(named, X, Y)
    check_data(keras.Model([model.inputs[0]], [model.outputs[0]]), X, Y)
    stateful = keras.Sequential(
        [keras.Input(batch_shape=(4, 7, 2)), keras.layers.LSTM(3, stateful=True)]
    )
    with pytest.raises(ValueError, match="is stateful"):
        check_data(stateful, np.zeros((12, 7, 2)), Y)
    any_size = keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(3)])
    check_data(any_size, np.zeros((12, 7, 4)), Y)


def test_sample_weights_are_refused():
    weighted = tf.data.Dataset.from_tensor_slices((X, Y, np.ones(12)))
    with pytest.raises(TypeError, match="pairs .x, y., without sample weights"):
        as_xy(weighted.batch(4))
