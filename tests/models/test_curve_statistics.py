"""What a CurveModel does not train: it stands at the state of its position, at its weights then."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from tests.networks import batch_norm_network

layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)
X = RNG.normal(3.0, 2.0, size=(120, 4)).astype("float32")
Y = RNG.integers(0, 3, 120)


def normalized(seed):
    keras.utils.set_random_seed(seed)
    normalization = layers.Normalization()
    normalization.adapt(X)
    return keras.Sequential([keras.Input((4,)), normalization, layers.Dense(3)])


def with_batch_norm(seed, *, trainable=True):
    keras.utils.set_random_seed(seed)
    norm = layers.BatchNormalization(trainable=trainable)
    tail = [layers.Dense(8), norm, layers.ReLU(), layers.Dense(3)]
    network = keras.Sequential([keras.Input((4,)), *tail])
    norm.moving_mean.assign(np.full(8, 0.3 + seed))
    norm.moving_variance.assign(np.full(8, 2.0 + seed))
    return network


def curve(make, **options):
    model = mc.CurveModel(make(1), make(2))
    model.compile(keras.optimizers.SGD(0.1), LOSS, **options)
    return model


def loss_of_the_path(model, batch_norm_data=None):
    plain = model.path().model(model.position, batch_norm_data=batch_norm_data)
    plain.compile(loss=LOSS)
    return pytest.approx(plain.evaluate(X, Y, verbose=0), rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [normalized, lambda seed: with_batch_norm(seed, trainable=False)],
    ids=["adapted", "frozen"],
)
def test_what_is_never_measured_is_that_of_the_position(make):
    model = curve(make)
    for t in (0.5, 0.2):
        model.position = t
        assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model)
        assert float(LOSS(Y, model(X))) == loss_of_the_path(model)


def test_every_way_of_inference_has_the_statistics_of_the_weights():
    model = curve(with_batch_norm)
    model.fit(X, Y, epochs=1, verbose=0)
    outputs = {
        "call": lambda: model(X),
        "batch": lambda: model.predict_on_batch(X),
        "all": lambda: model.predict(X, verbose=0),
    }
    for way in outputs.values():
        assert float(LOSS(Y, way())) == loss_of_the_path(model, X)
        model.train_on_batch(X, Y)
    assert model.test_on_batch(X, Y) == loss_of_the_path(model, X)


def test_statistics_follow_the_weights_whoever_changes_them():
    model = curve(with_batch_norm)
    model.fit(X, Y, epochs=2, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.compile(keras.optimizers.SGD(0.1), LOSS)  # counts its updates from 0 again
    model.fit(X, Y, epochs=2, verbose=0)
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, X)
    for variable in model.trainable_variables:
        variable.assign_add(tf.fill(variable.shape, 0.1))
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, X)


def test_averages_of_weights_that_are_swapped_in():
    model = mc.CurveModel(with_batch_norm(1), with_batch_norm(2))
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), LOSS)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[swap], verbose=0)
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, X)


def test_a_saved_model_of_the_network_at_the_position(tmp_path):
    model = curve(with_batch_norm)
    model.fit(X, Y, epochs=1, verbose=0)
    expected = model.predict(X, verbose=0)
    inputs = keras.Input((4,))
    for name, network in (("own", model), ("part", keras.Model(inputs, model(inputs)))):
        network.export(tmp_path / name, verbose=False)
        served = tf.saved_model.load(tmp_path / name)
        np.testing.assert_allclose(served.serve(X), expected, atol=1e-5)


def test_a_model_that_was_never_called_is_saved_for_its_inputs(tmp_path):
    model = curve(normalized)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(X[:7]), model(X[:7]), atol=1e-5)


def test_nan_among_the_inputs():
    model = curve(with_batch_norm)
    with pytest.raises(ValueError, match="inputs hold NaN or infinite"):
        model.estimate_batch_norm(np.where(X > 6, np.nan, X))


def test_saved_statistics_need_no_optimizer(tmp_path):
    model = curve(with_batch_norm)
    model.fit(X, Y, epochs=1, verbose=0)
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "curve.keras")
    again = keras.saving.load_model(tmp_path / "curve.keras", compile=False)
    np.testing.assert_allclose(again.predict(X, verbose=0), expected, atol=1e-6)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(30 * index, 30 * index + 30)
        return X[rows], Y[rows]


ENDLESS = tf.data.Dataset.from_tensor_slices((X, Y)).batch(30).repeat()


@pytest.mark.parametrize(
    ("arguments", "keywords", "measured_on"),
    [
        ((X, Y, 32), {}, X),
        ((Sequence(),), {}, X),
        ((ENDLESS,), {"steps_per_epoch": 3}, X[:90]),
        ((X, Y), {"validation_split": 0.25}, X[:90]),
        ((X, Y), {"validation_split": 0.25, "validation_data": (X[:9], Y[:9])}, X),
    ],
    ids=["positional", "sequence", "endless", "split", "split beside data"],
)
def test_the_data_of_fit_are_remembered(arguments, keywords, measured_on):
    model = curve(with_batch_norm)
    model.fit(*arguments, verbose=0, **keywords)
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, measured_on)


def test_data_that_come_once_are_not_remembered():
    model = curve(with_batch_norm)
    model.fit(((X, Y) for _ in range(3)), verbose=0)
    with pytest.raises(ValueError, match="call estimate_batch_norm"):
        model.evaluate(X, Y, verbose=0)


def once():
    return ((X[rows : rows + 30], Y[rows : rows + 30]) for rows in range(0, 120, 30))


def test_validation_beside_data_that_come_once():
    model = curve(with_batch_norm)
    with pytest.raises(ValueError, match="is read only once: call estimate_batch_norm"):
        model.fit(once(), validation_data=(X, Y), verbose=0)
    model.estimate_batch_norm(X[:60])
    history = model.fit(once(), validation_data=(X, Y), verbose=0).history
    assert history["val_loss"] == [loss_of_the_path(model, X[:60])]


def test_data_that_come_once_do_not_replace_those_known():
    model = curve(with_batch_norm)
    model.fit(X[:60], Y[:60], verbose=0)
    model.fit(once(), verbose=0)
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, X[:60])


def test_several_inputs(tmp_path):
    def two(seed):
        network = with_batch_norm(seed)
        inputs = [keras.Input((4,)), keras.Input((4,))]
        return keras.Model(inputs, network(layers.Subtract()(inputs)))

    model = curve(two)
    pair = [X, X[::-1]]
    model.fit(pair, Y, epochs=1, verbose=0)
    plain = model.path().model(0.5, batch_norm_data=pair)
    expected = plain.predict(pair, verbose=0)
    np.testing.assert_allclose(model.predict(pair, verbose=0), expected, atol=1e-5)
    dataset = tf.data.Dataset.from_tensor_slices((tuple(pair), Y)).batch(40)
    model.estimate_batch_norm(dataset)
    np.testing.assert_allclose(model.predict(dataset, verbose=0), expected, atol=1e-5)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(pair), expected, atol=1e-5)


def test_named_inputs(tmp_path):
    def named(seed):
        network = with_batch_norm(seed)
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
        return keras.Model(inputs, network(layers.Subtract()(list(inputs.values()))))

    model = curve(named)
    both = {"a": X, "b": X[::-1]}
    model.fit(both, Y, epochs=1, validation_data=(both, Y), verbose=0)
    plain = model.path().model(0.5, batch_norm_data=both)
    np.testing.assert_allclose(
        model.predict(both, verbose=0), plain.predict(both, verbose=0), atol=1e-5
    )
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(both), plain.predict(both, verbose=0), atol=1e-5)


@pytest.mark.slow
def test_on_several_devices():
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = curve(with_batch_norm)
    model.fit(X, Y, validation_data=(X, Y), verbose=0)
    assert model.position == 0.5
    assert model.evaluate(X, Y, verbose=0) == loss_of_the_path(model, X)


def test_summary_and_shapes(capsys):
    model = mc.CurveModel(batch_norm_network(0), batch_norm_network(1))
    model.summary()
    assert "CurveLayer" in capsys.readouterr().out
    assert model.compute_output_shape((None, 6, 6, 2)) == model.output_shape
