"""Batch-norm statistics at a point, against moments computed in NumPy in float64."""

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.batch_norm import BatchNormEstimator, estimate_batch_norm, has_batch_norm
from mc_keras.weight_space import WeightSpace

layers = keras.layers


def network(seed=0, *, frozen=False, dtype="float32", **options):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(7, dtype=dtype),
            layers.BatchNormalization(name="first", dtype=dtype, **options),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(6, dtype=dtype),
            layers.BatchNormalization(name="second", dtype=dtype, **options),
            layers.Dense(3),
        ]
    )
    model.get_layer("second").trainable = not frozen
    generator = np.random.default_rng(seed)
    for name in ("first", "second"):
        for variable in model.get_layer(name).weights:
            variable.assign(generator.uniform(0.5, 2, variable.shape))
    return model


def inputs(examples=103):
    generator = np.random.default_rng(1)
    # The mean is far from zero and drifts, so that batches differ.
    drift = np.linspace(0, 3, examples)[:, None]
    return (generator.normal(size=(examples, 5)) + 5 + drift).astype("float32")


def pooled_moments(model, x, batch_size):
    """Mean and variance at both batch-norm layers, every layer seeing its batch's moments."""
    weights = {w.path.split("/", 1)[1]: np.float64(w.numpy()) for w in model.weights}
    dense = [layer.name for layer in model.layers if isinstance(layer, layers.Dense)]
    found = {"first": [], "second": []}
    for start in range(0, len(x), batch_size):
        h = x[start : start + batch_size].astype("float64")
        for name, norm in zip(dense, found, strict=False):
            z = h @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
            mean, variance = z.mean(0), z.var(0)
            found[norm].append((len(z), mean, variance))
            epsilon = model.get_layer(norm).epsilon
            z = (z - mean) / np.sqrt(variance + epsilon)
            h = np.maximum(z * weights[f"{norm}/gamma"] + weights[f"{norm}/beta"], 0)
    pooled = []
    for batches in found.values():
        sizes, means, variances = (np.array(column) for column in zip(*batches, strict=True))
        mean = np.average(means, axis=0, weights=sizes)
        within = np.average(variances, axis=0, weights=sizes)
        between = np.average((means - mean) ** 2, axis=0, weights=sizes)
        pooled += [mean, within + between]
    return pooled


@pytest.mark.parametrize("batch_size", [16, 50, 103, 1000])
def test_pooled_moments_equal_those_in_float64(batch_size):
    model, x = network(), inputs()
    space = WeightSpace(model)
    state = estimate_batch_norm(space, space.read(), x, batch_size=batch_size)
    for found, expected in zip(state, pooled_moments(model, x, batch_size), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_the_first_layer_has_the_moments_of_all_examples_at_any_batch_size():
    model, x = network(), inputs()
    kernel, bias = (np.float64(w) for w in model.layers[0].get_weights())
    z = x @ kernel + bias
    space = WeightSpace(model)
    for batch_size in (7, 40, 103):
        mean, variance, *_ = estimate_batch_norm(space, space.read(), x, batch_size=batch_size)
        np.testing.assert_allclose(mean, z.mean(0), rtol=1e-5)
        np.testing.assert_allclose(variance, z.var(0), rtol=1e-5)


def test_a_layer_that_is_called_twice_has_the_mean_of_both_calls():
    inputs = keras.Input((4,))
    norm = keras.layers.BatchNormalization()
    first, second = norm(inputs), norm(keras.ops.square(inputs))
    model = keras.Model(inputs, keras.layers.Add()([first, second]))
    x = np.random.default_rng(0).normal(2.0, size=(300, 4)).astype("float32")
    space = WeightSpace(model)
    for batch_size in (300, 150):
        mean, variance = estimate_batch_norm(space, space.read(), x, batch_size=batch_size)
        means, variances = (
            [moment(a, 0, dtype="float64") for a in (x, x**2)] for moment in (np.mean, np.var)
        )
        np.testing.assert_allclose(mean, np.mean(means, 0), rtol=1e-5)
        if batch_size == 300:
            np.testing.assert_allclose(variance, np.mean(variances, 0), rtol=1e-5)
        else:
            np.testing.assert_allclose(variance, np.mean(variances, 0), rtol=0.01)


def test_the_model_is_left_as_it_is():
    model, x = network(), inputs()
    before = model.get_weights()
    outputs = model.predict(x, verbose=0)
    space = WeightSpace(model)
    estimate_batch_norm(space, [w + 1 for w in space.read()], x)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.predict(x, verbose=0), outputs)


def test_a_frozen_layer_keeps_its_statistics():
    model, x = network(frozen=True), inputs()
    space = WeightSpace(model)
    state = estimate_batch_norm(space, space.read(), x)
    kept = [model.get_layer("second").moving_mean, model.get_layer("second").moving_variance]
    for found, expected in zip(state[2:], kept, strict=True):
        np.testing.assert_array_equal(found, expected.numpy())
    np.testing.assert_allclose(state[0], pooled_moments(model, x, 103)[0], rtol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_old_statistics_do_not_matter(value):
    model, x = network(), inputs()
    space = WeightSpace(model)
    old = [np.full_like(a, value) for a in space.read_state()]
    found = estimate_batch_norm(space, space.read(), x, state=old)
    expected = estimate_batch_norm(space, space.read(), x)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{"momentum": 0.0}, {"momentum": 1.0}, {"renorm": True}])
def test_the_options_of_the_moving_average_do_not_matter(options):
    x = inputs()
    model, plain = network(**options), network()
    for layer in ("first", "second"):
        for name in ("gamma", "beta"):
            value = getattr(plain.get_layer(layer), name)
            getattr(model.get_layer(layer), name).assign(value)
    space = WeightSpace(model)
    state = estimate_batch_norm(space, space.read(), x, batch_size=50)
    found = dict(zip([v.path.split("/", 1)[1] for v in space.state_variables], state, strict=True))
    expected = pooled_moments(plain, x, 50)
    names = [f"{n}/moving_{m}" for n in ("first", "second") for m in ("mean", "variance")]
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=2e-5)


def test_half_precision():
    model, x = network(dtype="mixed_float16"), inputs()
    space = WeightSpace(model)
    state = estimate_batch_norm(space, space.read(), x, batch_size=50)
    for found, expected in zip(state, pooled_moments(model, x, 50), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02)


def test_an_estimator_serves_many_points():
    model, x = network(), inputs()
    space = WeightSpace(model)
    estimate = BatchNormEstimator(model, x, batch_size=50)
    for shift in (0.0, 0.5):
        point = [w + np.float32(shift) for w in space.read()]
        for a, b in zip(
            estimate(point, space.read_state()),
            estimate_batch_norm(space, point, x, batch_size=50),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_a_network_without_batch_norm_has_nothing_to_measure():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    assert not has_batch_norm(model)
    assert estimate_batch_norm(WeightSpace(model), WeightSpace(model).read(), inputs()) == []
    assert has_batch_norm(network())
    assert has_batch_norm(network(frozen=True))


def test_evaluate_path_measures_them_at_every_position():
    x, y = inputs(), np.arange(103) % 3
    path = mc.connect(network(0), network(1), "linear")
    report = mc.evaluate_path(path, {"train": (x, y)}, 3, batch_size=50, verbose=0)
    for t, loss in zip(report.t, report["train_loss"], strict=True):
        model = path.model(t)
        moments = pooled_moments(model, x, 50)
        for norm, (mean, variance) in zip(
            ("first", "second"), (moments[:2], moments[2:]), strict=True
        ):
            model.get_layer(norm).moving_mean.assign(mean)
            model.get_layer(norm).moving_variance.assign(variance)
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        assert loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-4)
