"""Training by fit: likelihood and bijection, held-out pairs, interruptions, what goes wrong."""

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.flows import (
    BijectionModel,
    Diverged,
    InverseAutoregressiveFlow,
    LikelihoodModel,
    RealNVP,
    StopOnDivergence,
    WorstPoint,
    population_rows,
)
from tests.networks import dense_network

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def new_flow(population, kind=RealNVP, **config):
    flow = kind(9, **{"num_blocks": 2, "hidden": (12,), **config})
    flow.adapt(np.concatenate(list(population_rows(population))))
    return flow


def bijection(population, flow=None, learning_rate=3e-3, **config):
    model = BijectionModel(flow or new_flow(population), population[:4], population[4:], **config)
    model.compile(
        keras.optimizers.Adam(learning_rate, global_clipnorm=1.0), LOSS, metrics=["accuracy"]
    )
    return model


@pytest.mark.parametrize(
    "kind", [RealNVP, pytest.param(InverseAutoregressiveFlow, marks=pytest.mark.slow)]
)
def test_likelihood_rises(population, kind, generator):
    hidden = generator.normal(size=(400, 2))
    rows = np.concatenate([hidden, np.square(hidden), hidden @ generator.normal(size=(2, 5))], 1)
    rows = (rows + 0.1 * generator.normal(size=rows.shape)).astype("float32")
    flow = kind(9, num_blocks=2, hidden=(32,))
    flow.adapt(rows[:300])
    model = LikelihoodModel(flow)
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(
        rows[:300], epochs=20, batch_size=100, validation_data=(rows[300:],), verbose=0
    ).history
    expected = -np.mean(flow.log_prob(rows[300:])) / 9
    assert history["val_loss"][-1] == pytest.approx(expected, abs=1e-4)
    assert history["val_loss"][-1] < history["val_loss"][0] - 0.3
    np.testing.assert_allclose(flow.inverse(flow.forward(rows)), rows, atol=1e-4)


@pytest.mark.slow
def test_bijection_lowers_the_loss_on_held_out_paths(population, data):
    model = bijection(population, new_flow(population, hidden=(32,)), 1e-2, position=None)
    before = model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    worst = WorstPoint(*data, positions=(0.3, 0.5, 0.7))
    stop = keras.callbacks.EarlyStopping("val_worst_accuracy", mode="max", patience=30)
    history = model.fit(*data, epochs=10, callbacks=[worst, stop], verbose=0).history
    after = model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    assert after < 0.85 * before
    assert history["val_worst_accuracy"] == [np.mean(found) for _, found in worst.history]
    rows = np.concatenate(list(population_rows(population)))
    np.testing.assert_allclose(model.flow.inverse(model.flow.forward(rows)), rows, atol=1e-4)


def test_evaluation_is_that_of_the_path(population, data):
    model = bijection(population)
    path = mc.connect(*population[4:], mc.connectors.LearnedConnection(model=model.flow), data=data)
    for t in (0.0, 0.3, 0.5, 1.0):
        model.position = t
        expected = path.model(t).predict(data[0], verbose=0)
        np.testing.assert_allclose(model.predict(data[0], verbose=0), expected, atol=1e-4)


def test_a_new_flow_gives_the_arc_in_normalised_coordinates(population):
    flow = new_flow(population, num_blocks=4)
    start, end = population[4:]
    path = mc.connect(start, end, mc.connectors.LearnedConnection(model=flow))
    rows = population_rows(population)
    mean = np.concatenate(list(rows)).mean(0)
    t = 0.3
    expected = (
        mean + np.cos(np.pi * t / 2) * (rows[4] - mean) + np.sin(np.pi * t / 2) * (rows[5] - mean)
    )
    point = path(t)
    actual = np.concatenate([point[0].T, point[1][:, None], point[2]], 1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_allclose(point[3], 0.7 * path(0)[3] + 0.3 * path(1)[3], atol=1e-6)


@pytest.mark.slow
def test_the_seed_decides(population, data):
    def losses(seed):
        model = bijection(population, seed=seed)
        return model.fit(*data, batch_size=128, epochs=2, shuffle=False, verbose=0).history["loss"]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(population, data, tmp_path):
    def fit(model, epochs, **options):
        model.fit(*data, epochs=epochs, shuffle=False, verbose=0, **options)
        return model.flow.get_weights()

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole = fit(bijection(population, position=None), 4)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(bijection(population, position=None), 4, callbacks=[backup, Interrupt()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    again = fit(bijection(population, position=None), 4, callbacks=[backup])
    for a, b in zip(whole, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_divergence_ends_at_the_last_good_weights(population, data, tmp_path):
    model = bijection(population, learning_rate=1e-3)
    x = data[0].copy()
    good = []

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            good.append(self.model.flow.get_weights())
            if epoch == 1:
                self.model.optimizer.learning_rate = float("inf")

    stop = StopOnDivergence(tmp_path / "good.keras", advice="Slow down.")
    message = r"not finite at step \d of epoch 3.* epoch 2 again; .*good.keras holds it. Slow"
    with pytest.raises(Diverged, match=message):
        model.fit(x, data[1], epochs=5, callbacks=[stop, Spoil()], verbose=0)
    for flow in (model.flow, keras.saving.load_model(tmp_path / "good.keras")):
        for a, b in zip(flow.get_weights(), good[1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_flow_that_diverged_can_be_trained_on(population, data):
    model = bijection(population)
    spoiled = data[0].copy()
    spoiled[3] = np.nan
    with pytest.raises(Diverged):
        model.fit(spoiled, data[1], callbacks=[StopOnDivergence()], verbose=0)
    history = model.fit(*data, epochs=2, callbacks=[StopOnDivergence()], verbose=0).history
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(ValueError, match="written to a .keras file, received file='good'"):
        StopOnDivergence("good")


@pytest.mark.parametrize(
    "dtype",
    ["float64", *(pytest.param(d, marks=pytest.mark.slow) for d in ("float16", "bfloat16"))],
)
def test_networks_of_another_precision(population, data, dtype):
    networks = []
    for network in population:
        config = network.get_config()
        config["layers"] = [
            {**layer, "config": {**layer["config"], "dtype": dtype}} for layer in config["layers"]
        ]
        networks.append(type(network).from_config(config))
        networks[-1].set_weights(network.get_weights())
    model = bijection(networks, seed=2**30)
    assert np.isfinite(model.fit(*data, verbose=0).history["loss"]).all()
    path = mc.connect(*networks[4:], mc.connectors.LearnedConnection(model=model.flow))
    assert [array.dtype for array in path(0.3)] == [dtype] * 4
    outputs = path.model(0.3).predict(data[0], verbose=0)
    points, _ = path.tensor_point(0.3)
    for point, array in zip(points, path(0.3), strict=True):
        np.testing.assert_allclose(point, array, atol=1e-5 if dtype == "float64" else 1e-2)
    assert np.isfinite(outputs).all()


def test_networks_whose_biases_are_zero(data):
    networks = [dense_network(seed, widths=(12,)) for seed in range(4)]
    for network in networks:
        assert not network.layers[-1].bias.numpy().any()
    flow = RealNVP(9, num_blocks=6, hidden=(12,))
    flow.adapt(np.concatenate(list(population_rows(networks))))
    model = BijectionModel(flow, networks)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), LOSS)
    model.fit(*data, epochs=2, callbacks=[StopOnDivergence()], verbose=0)


def test_what_the_worst_point_cannot_measure(population, data):
    x, y = data
    with pytest.raises(ValueError, match="one integer label for each input, received"):
        WorstPoint(x, keras.utils.to_categorical(y))
    for options in ({"period": 0}, {"positions": ()}):
        with pytest.raises(ValueError, match="at least one epoch and at least one position"):
            WorstPoint(x, y, **options)
    model = LikelihoodModel(new_flow(population))
    model.compile("adam")
    rows = np.concatenate(list(population_rows(population)))
    others = WorstPoint(x, y, paths=BijectionModel(new_flow(population), population))
    with pytest.raises(ValueError, match="received paths of another one"):
        model.fit(rows, callbacks=[others], verbose=0)
    networks = [
        keras.Sequential([keras.Input((5,)), *map(keras.layers.Dense, (12, 1))]) for _ in "ab"
    ]
    flow = RealNVP(7, num_blocks=1, hidden=(4,))
    flow.adapt(np.concatenate(list(population_rows(networks))))
    model = BijectionModel(flow, networks)
    model.compile("adam", "binary_crossentropy")
    with pytest.raises(ValueError, match=r"two or more; these have outputs of shape \(1,\)"):
        model.fit(x, y, callbacks=[WorstPoint(x, y)], verbose=0)


def test_what_is_saved_is_the_flow(population, tmp_path):
    with pytest.raises(NotImplementedError, match="save its flow, model.flow.save"):
        bijection(population).save(tmp_path / "model.keras")


@pytest.mark.slow
def test_divergence_after_an_interruption_and_in_the_last_step(population, data, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate = float("inf")

    def fit(*callbacks, epochs):
        model = bijection(population)
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        stop = StopOnDivergence()
        options = {"batch_size": len(data[0]), "shuffle": False, "verbose": 0}
        try:
            model.fit(*data, epochs=epochs, callbacks=[stop, *callbacks, backup], **options)
        except Diverged as error:
            return model.flow.get_weights(), str(error)
        return model.flow.get_weights(), ""

    good, _ = fit(epochs=1)
    # The first step after the interruption is the last one of its epoch: its loss is finite.
    for _ in range(2):
        weights, message = fit(Spoil(), epochs=2)
        assert "weights are not finite after the last step of epoch 2" in message
        assert "from after epoch 1 again" in message
        for a, b in zip(weights, good, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_the_worst_point_of_a_training_by_likelihood(population, data):
    flow = new_flow(population)
    model = LikelihoodModel(flow)
    model.compile(keras.optimizers.Adam(1e-3))
    rows = np.concatenate(list(population_rows(population[:4])))
    with pytest.raises(TypeError, match="BijectionModel, received a LikelihoodModel: pass paths"):
        model.fit(rows, callbacks=[WorstPoint(*data)], verbose=0)
    worst = WorstPoint(*data, paths=BijectionModel(flow, population[4:]))
    history = model.fit(rows, epochs=2, callbacks=[worst], verbose=0).history
    path = mc.connect(*population[4:], mc.connectors.LearnedConnection(model=flow))
    accuracies = [
        np.mean(path.model(t).predict(data[0], verbose=0).argmax(1) == data[1])
        for t in (0.25, 0.5, 0.75)
    ]
    assert history["val_worst_accuracy"][-1] == pytest.approx(min(accuracies))


def test_likelihood_models_are_keras_models(population, tmp_path):
    model = LikelihoodModel(new_flow(population))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    rows = population_rows(population)[0]
    np.testing.assert_array_equal(model(rows), again(rows))


def test_bad_populations(population, deep_pair, data):
    flow = new_flow(population)
    with pytest.raises(ValueError, match="at least two networks, received 1"):
        BijectionModel(flow, population[:1])
    with pytest.raises(TypeError, match="Expected a flow, such as .*, received Sequential"):
        BijectionModel(population[0], population)
    with pytest.raises(ValueError, match="networks with one hidden layer"):
        inputs = keras.Input((5,))
        x = keras.layers.Dense(12)(inputs)
        x = keras.layers.Reshape((3, 4))(x)
        x = keras.layers.Flatten()(keras.layers.Permute((2, 1))(x))
        shuffled = keras.Model(inputs, keras.layers.Dense(3)(x))
        BijectionModel(flow, [shuffled, shuffled])
    with pytest.raises(ValueError, match="maps rows of 9 weights, the units of .* have 7"):
        small = keras.Sequential([keras.Input((3,)), *map(keras.layers.Dense, (12, 3))])
        BijectionModel(flow, [small, small])
    with pytest.raises(ValueError, match="networks with one hidden layer"):
        BijectionModel(flow, deep_pair[:2])
    with pytest.raises(ValueError, match="held-out networks are pairs"):
        BijectionModel(flow, population, population[:1])
    with pytest.raises(ValueError, match="position must be inside"):
        BijectionModel(flow, population, position=1.0)
    with pytest.raises(TypeError, match="Expected Keras models, received ndarray"):
        BijectionModel(flow, population_rows(population))
    broken = keras.models.clone_model(population[0])
    broken.set_weights([np.full_like(w, np.nan) for w in population[0].get_weights()])
    with pytest.raises(ValueError, match="network 1 of the population, .* holds NaN"):
        BijectionModel(flow, [population[0], broken])
    model = bijection(population)
    with pytest.raises(ValueError, match="1 held-out pairs, received 1"):
        model.pair = 1
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        model.position = 2
