import keras
import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from mc_keras.weight_space import WeightSpace
from tests.networks import batch_norm_network, classification_data, dense_network

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(pair, curve=None, optimizer=None, **options):
    model = mc.CurveModel(*pair[:2], curve=curve, **options)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    return model


def mean_loss(path, data):
    return mc.evaluate_path(path, {"train": data}, num_points=7, verbose=0).mean("train_loss")


@pytest.mark.parametrize("curve", [mc.Bezier(3), mc.Bezier(4), mc.PolygonalChain(4)])
def test_bends_start_evenly_on_the_line(dense_pair, curve):
    path = mc.CurveModel(*dense_pair[:2], curve=curve).path()
    line = mc.connect(*dense_pair[:2])
    last = curve.num_control_points - 1
    for k, point in enumerate(path.control_points):
        for a, b in zip(point, line(k / last), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "fixture", ["dense_pair", pytest.param("batch_norm_pair", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("curve", [mc.Bezier(3), mc.PolygonalChain(3)])
def test_training_lowers_the_mean_loss_and_keeps_the_ends(request, fixture, curve):
    pair = request.getfixturevalue(fixture)
    model = compiled(pair, curve)
    before = mean_loss(model.path(), pair[2])
    history = model.fit(*pair[2], epochs=30, verbose=0).history
    path = model.path()
    assert history["loss"][-1] < history["loss"][0]
    assert mean_loss(path, pair[2]) < before
    for t, end in ((0, pair[0]), (1, pair[1])):
        for a, b in zip(path(t), WeightSpace(end).read(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_free_ends_move(dense_pair):
    model = compiled(dense_pair, fix_start=False)
    model.fit(*dense_pair[2], epochs=2, verbose=0)
    path = model.path()
    start, end = (WeightSpace(m).read() for m in dense_pair[:2])
    assert not np.array_equal(path(0)[0], start[0])
    np.testing.assert_array_equal(path(1)[0], end[0])


def test_evaluate_predict_and_call_stand_at_the_position(batch_norm_pair):
    x, y = batch_norm_pair[2]
    model = compiled(batch_norm_pair)
    model.fit(x, y, epochs=1, verbose=0)
    for t in (0.5, 0.3):
        model.position = t
        loss, accuracy = model.evaluate(x, y, verbose=0)
        plain = model.path().model(t, batch_norm_data=x)
        plain.compile(loss=LOSS, metrics=["accuracy"])
        np.testing.assert_allclose([loss, accuracy], plain.evaluate(x, y, verbose=0), rtol=1e-5)
        np.testing.assert_allclose(
            model.predict(x, verbose=0), plain.predict(x, verbose=0), atol=1e-5
        )


def test_batch_norm_statistics_follow_the_training(batch_norm_pair):
    x, y = batch_norm_pair[2]
    model = compiled(batch_norm_pair)
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history
    plain = model.path().model(0.5, batch_norm_data=x)
    plain.compile(loss=LOSS)
    expected = plain.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(history["val_loss"][-1], expected, rtol=1e-5)


def test_unknown_batch_norm_statistics_are_refused(batch_norm_pair):
    x, y = batch_norm_pair[2]
    model = compiled(batch_norm_pair)
    with pytest.raises(ValueError, match="call estimate_batch_norm"):
        model.evaluate(x, y, verbose=0)
    model.estimate_batch_norm(x)
    model.evaluate(x, y, verbose=0)


def test_the_loss_at_an_end_is_the_networks_own(dense_pair):
    x, y = dense_pair[2]
    model = compiled(dense_pair)
    model.position = 0.0
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0), dense_pair[0].evaluate(x, y, verbose=0), rtol=1e-5
    )


def test_weight_decay_is_on_the_interpolated_weights(dense_pair):
    model = compiled(dense_pair, weight_decay=0.2)
    model.position = 0.5
    x, y = dense_pair[2]
    plain = compiled(dense_pair)
    middle = mc.connect(*dense_pair[:2])(0.5)
    expected = 0.1 * sum(np.sum(w**2) for w in middle)
    difference = model.evaluate(x, y, verbose=0)[0] - plain.evaluate(x, y, verbose=0)[0]
    np.testing.assert_allclose(difference, expected, rtol=1e-4)


@pytest.mark.parametrize("strata", [1, 5, 8, 16])
def test_positions_are_uniform_and_stratified(dense_pair, strata):
    model = mc.CurveModel(*dense_pair[:2], num_strata=strata)
    drawn = np.array([float(model._draw_position()) for _ in range(strata * 16)])
    assert 0 <= drawn.min() < drawn.max() < 1
    if strata > 1:
        for window in (drawn[:strata], drawn[3 : 3 + strata]):
            assert sorted(np.floor(window * strata)) == list(range(strata))
    model = mc.CurveModel(*dense_pair[:2], num_strata=strata, seed=1)
    assert not np.array_equal(drawn[:4], [float(model._draw_position()) for _ in range(4)])


def test_same_seed_same_curve(dense_pair):
    def run(seed):
        model = compiled(dense_pair, seed=seed)
        model.fit(*dense_pair[2], epochs=2, shuffle=False, verbose=0)
        return model.path()(0.5)

    assert all(np.array_equal(a, b) for a, b in zip(run(0), run(0), strict=True))
    assert not np.array_equal(run(0)[0], run(1)[0])


class _StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "fixture", ["dense_pair", pytest.param("batch_norm_pair", marks=pytest.mark.slow)]
)
def test_an_interrupted_run_resumes_as_if_it_had_not_been(request, fixture, tmp_path):
    pair = request.getfixturevalue(fixture)

    def run(*callbacks):
        model = compiled(pair, mc.Bezier(4), num_strata=8)
        model.fit(*pair[2], epochs=5, shuffle=False, verbose=0, callbacks=list(callbacks))
        return model.path()(0.5)

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.BackupAndRestore(tmp_path), _StopAfter(3))
    resumed = run(keras.callbacks.BackupAndRestore(tmp_path))
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_save_and_load_whole_and_go_on(batch_norm_pair, tmp_path):
    x, y = batch_norm_pair[2]
    model = compiled(batch_norm_pair, mc.PolygonalChain(4), weight_decay=1e-3, num_strata=4)
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    expected = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "curve.keras")
    again = keras.saving.load_model(tmp_path / "curve.keras")
    assert again.evaluate(x, y, verbose=0) == expected
    assert again.curve.get_config() == model.curve.get_config()
    for m in (model, again):
        m.fit(x, y, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.path()(0.4), again.path()(0.4), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_hold_the_control_points_only(dense_pair, tmp_path):
    import h5py

    model = compiled(dense_pair)
    model.save_weights(tmp_path / "curve.weights.h5")
    total = []
    with h5py.File(tmp_path / "curve.weights.h5") as file:
        file.visititems(
            lambda name, item: total.append(item.size) if hasattr(item, "size") else None
        )
    assert sum(total) < 3.2 * dense_pair[0].count_params()


@pytest.mark.parametrize("batched", [True, False])
def test_any_data_pipeline_metric_and_callback(dense_pair, batched, tmp_path):
    x, y = dense_pair[2]
    model = mc.CurveModel(*dense_pair[:2])
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        LOSS,
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)],
    )
    if batched:
        data, targets = tf.data.Dataset.from_tensor_slices((x, y)).batch(50), None
    else:
        data, targets = x, y
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="loss"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    history = model.fit(data, targets, epochs=2, verbose=0, callbacks=callbacks).history
    assert set(history) == {"loss", "accuracy", "sparse_top_k_categorical_accuracy"}
    assert (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    x, y = classification_data((5,))

    def build(seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(7, "relu", dtype=policy),
                keras.layers.Dense(3, dtype="float32"),
            ]
        )

    model = compiled((build(0), build(1)))
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {w.dtype.name for w in model.path()(0.5)} == {"float32"}


def test_the_loss_of_networks_in_half_precision_is_scaled(tmp_path):
    x, y = classification_data((5,))

    def build():
        return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, dtype="mixed_float16")])

    model = mc.CurveModel(build(), build())
    model.compile(keras.optimizers.SGD(0.5), lambda _, outputs: 1e-6 * keras.ops.mean(outputs))
    before = model.path()(0.5)
    model.fit(x, y, verbose=0)  # gradients of 1e-6 / 32 / 3 are zero in float16
    assert any(np.any(w != v) for w, v in zip(model.path()(0.5), before, strict=True))
    model.compile("sgd", LOSS)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "curve.keras")
    optimizer = keras.saving.load_model(tmp_path / "curve.keras").optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(optimizer.inner_optimizer, keras.optimizers.SGD)
    model.compile("sgd", LOSS, auto_scale_loss=False)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def test_compiled_by_xla(dense_pair):
    model = mc.CurveModel(*dense_pair[:2])
    model.compile("sgd", LOSS, jit_compile=True)
    model.fit(*dense_pair[2], verbose=0)


def test_frozen_layers_move_with_the_curve_but_are_not_trained():
    start, end = dense_network(0), dense_network(1)
    for model in (start, end):
        model.layers[0].trainable = False
    curve = mc.CurveModel(start, end)
    assert len(curve.trainable_variables) == 2
    line = mc.connect(start, end)
    curve.compile("adam", LOSS)
    curve.fit(*classification_data((5,)), verbose=0)
    np.testing.assert_allclose(curve.path()(0.5)[0], line(0.5)[0], atol=1e-6)


def test_bad_arguments(dense_pair):
    with pytest.raises(ValueError, match="The models differ"):
        mc.CurveModel(dense_pair[0], batch_norm_network())
    with pytest.raises(ValueError, match="num_strata must be at least 1"):
        mc.CurveModel(*dense_pair[:2], num_strata=0)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        mc.CurveModel(*dense_pair[:2]).position = 1.5


def two_headed(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(7, "relu")(inputs)
    outputs = (
        keras.layers.Dense(2, name="label")(hidden),
        keras.layers.Dense(1, name="size")(hidden),
    )
    return keras.Model(inputs, outputs)


def test_losses_and_metrics_by_the_names_of_the_outputs():
    network = two_headed()
    model = mc.CurveModel(network, two_headed(1))
    model.position = 0.0
    x, y = classification_data((5,), 30, classes=2)
    targets = {"label": y, "size": x.sum(1, keepdims=True)}
    loss, metrics = {"label": LOSS, "size": "mse"}, {"label": ["accuracy"], "size": ["mae"]}
    logs = []
    for each in (network, model):
        each.compile("sgd", loss, metrics=metrics, loss_weights={"label": 1.0, "size": 0.5})
        logs.append(each.evaluate(x, targets, verbose=0, return_dict=True))
    assert logs[0].keys() == logs[1].keys() >= {"label_accuracy", "size_mae"}
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)


def test_constraints_hold_along_the_curve():
    def build(seed):
        keras.utils.set_random_seed(seed)
        layers = [
            keras.layers.Dense(7, "relu", kernel_constraint="non_neg", kernel_initializer="ones"),
            keras.layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(1.0)),
        ]
        return keras.Sequential([keras.Input((5,)), *layers])

    x, y = classification_data((5,))
    ends = [build(seed) for seed in (0, 1)]
    for end in ends:
        end.compile(keras.optimizers.Adam(0.05), LOSS)
        end.fit(x, y, epochs=2, verbose=0)
    model = compiled(ends, optimizer=keras.optimizers.Adam(0.1))
    model.fit(x, y, epochs=5, verbose=0)
    first, _, second, _ = model.path()(0.5)
    assert first.min() >= 0.0
    assert np.linalg.norm(second, axis=0).max() <= 1.0 + 1e-5


def test_optimizers_see_the_names_of_the_weights(dense_pair):
    optimizer = keras.optimizers.AdamW(1e-2)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = compiled(dense_pair, optimizer=optimizer)
    decayed = [optimizer._use_weight_decay(v) for v in model.trainable_variables]
    assert decayed == [True, False, True, False]


def test_a_saved_model_knows_the_statistics_of_its_position(batch_norm_pair, tmp_path):
    model = compiled(batch_norm_pair)
    x, y = batch_norm_pair[2]
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "curve.keras")
    again = keras.saving.load_model(tmp_path / "curve.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_networks_in_double_precision_take_doubles():
    def build():
        return keras.Sequential(
            [keras.Input((5,), dtype="float64"), keras.layers.Dense(3, dtype="float64")]
        )

    start = build()
    model = mc.CurveModel(start, build())
    model.position = 0.0
    x = np.random.default_rng(0).normal(size=(9, 5))
    np.testing.assert_allclose(model.predict(x, verbose=0), start.predict(x, verbose=0), rtol=1e-12)


def test_frozen_networks_cannot_be_trained(dense_pair):
    a, b = (keras.models.clone_model(model) for model in dense_pair[:2])
    a.trainable = False
    with pytest.raises(ValueError, match="All layers of .* are frozen"):
        mc.connect(a, b, "bezier", data=dense_pair[2])
