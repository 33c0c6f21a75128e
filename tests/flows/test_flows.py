"""The maps: there and back, log-determinants, structure, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mc_keras.flows import InverseAutoregressiveFlow, LikelihoodModel, RealNVP
from tests.contracts.flows import FLOWS, stirred


@pytest.fixture(params=FLOWS)
def flow(request):
    return FLOWS[request.param](7)


@pytest.fixture
def rows(generator):
    return generator.normal(1, 2, size=(20, 7)).astype("float32")


def jacobian(function, x):
    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        y = function(x)
    return tape.batch_jacobian(y, x).numpy()


def test_there_and_back(flow, rows):
    np.testing.assert_allclose(flow.inverse(flow.forward(rows)), rows, atol=1e-4)
    np.testing.assert_allclose(flow.forward(flow.inverse(rows)), rows, atol=1e-4)


def test_log_determinant_is_that_of_the_jacobian(flow, rows):
    expected = np.linalg.slogdet(jacobian(flow.forward, rows))[1]
    actual = flow.bijector().forward_log_det_jacobian(tf.constant(rows), event_ndims=1)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_log_probability_is_the_normal_one_of_the_latents(flow, rows):
    z = np.array(flow.forward(rows), "float64")
    normal = -0.5 * np.square(z).sum(1) - 3.5 * np.log(2 * np.pi)
    expected = normal + np.linalg.slogdet(jacobian(flow.forward, rows))[1]
    np.testing.assert_allclose(flow.log_prob(rows), expected, atol=1e-3)


def test_results_follow_the_weights_outside_of_graphs(flow, rows):
    x = tf.constant(rows)
    before = np.array(flow.forward(x))
    flow.normalizations[0].mean.assign_add(np.ones(7))
    assert np.abs(flow.forward(x) - before).max() > 0.01


def test_a_new_flow_normalises_and_does_nothing_else(rows):
    for kind in (RealNVP, InverseAutoregressiveFlow):
        flow = kind(7, num_blocks=3, hidden=(8,))
        flow.adapt(rows)
        order = np.arange(7)
        for permutation in flow.permutations:
            order = order[np.array(permutation)]
        expected = ((rows - rows.mean(0)) / rows.std(0))[:, order]
        np.testing.assert_allclose(flow.forward(rows), expected, atol=1e-5)


def test_weights_that_never_change_do_not_explode(rows):
    rows[:, 2] = 5
    flow = RealNVP(7, num_blocks=6, hidden=(8,))
    flow.adapt(rows)
    assert np.exp(np.array(flow.normalizations[0].log_deviation))[2] == pytest.approx(1e-3)
    rows[0, 2] += 1e-3  # one deviation, whatever the number of blocks
    assert np.abs(np.array(flow.forward(rows))).max() < 5


def test_the_dtype_is_float32_under_any_policy(flow, rows):
    before = np.array(flow.forward(rows))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        again = type(flow).from_config(flow.get_config())
        again.set_weights(flow.get_weights())
        np.testing.assert_array_equal(again.forward(rows), before)
        LikelihoodModel(again)(rows)
    finally:
        keras.config.set_dtype_policy(policy)


def test_other_precisions(rows):
    with pytest.raises(ValueError, match="weights of float32.* received dtype='float64'"):
        RealNVP(7, num_blocks=1, hidden=(8,), dtype="float64")
    flow = RealNVP(7, num_blocks=1, hidden=(8,))
    np.testing.assert_array_equal(flow.forward(rows.astype("float64")), flow.forward(rows))


def test_adapting_normalises_the_input_of_every_block(flow, rows):
    flow.adapt(rows)
    x = tf.constant(rows)
    for index in range(flow.num_blocks):
        shift, scale, *others = flow._steps(index)
        x = scale.forward(shift.forward(x))
        np.testing.assert_allclose(np.mean(x, 0), np.zeros(7), atol=1e-4)
        np.testing.assert_allclose(np.std(x, 0), np.ones(7), atol=1e-4)
        for step in others:
            x = step.forward(x)


def test_autoregressive_jacobian_is_triangular(rows):
    flow = stirred(InverseAutoregressiveFlow(7, num_blocks=1, hidden=(30, 31)), scale=1)
    order = np.array(flow.permutations[0])
    inside = jacobian(flow.forward, rows)[:, :, order]  # by the coordinates as permuted
    np.testing.assert_allclose(np.triu(inside, 1), 0, atol=1e-6)
    assert (np.abs(np.tril(inside)).max(0)[np.tril_indices(7)] > 1e-7).all()


def test_coordinates_are_permuted_differently_in_each_block():
    flow = RealNVP(50, num_blocks=4, hidden=(8,))
    orders = {tuple(np.array(permutation)) for permutation in flow.permutations}
    assert len(orders) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_log_scales_are_bounded(rows):
    flow = RealNVP(7, num_blocks=1, hidden=(8,), max_log_scale=0.5)
    flow.conditioners[0].trainable_weights[-1].assign(np.full(8, 1e4))
    assert np.isfinite(flow.inverse(flow.forward(rows))).all()
    _, log_scale = flow.conditioners[0](rows[:, :3])
    assert np.abs(log_scale).max() <= 0.5


def test_a_file_holds_all_of_it(flow, rows, tmp_path):
    flow.networks = {"dataset": "digits"}
    flow.save(tmp_path / "flow.keras")
    again = keras.saving.load_model(tmp_path / "flow.keras")
    assert type(again) is type(flow)
    assert again.networks == flow.networks
    np.testing.assert_array_equal(again.forward(rows), flow.forward(rows))
    assert b"pickle" not in (tmp_path / "flow.keras").read_bytes()


@pytest.mark.slow
def test_a_new_process_loads_the_file_without_knowing_the_class(tmp_path):
    import subprocess
    import sys

    flow = stirred(RealNVP(7, num_blocks=1, hidden=(5,)))
    flow.save(tmp_path / "flow.keras")
    code = (
        "import keras, mc_keras, sys; flow = keras.saving.load_model(sys.argv[1]); "
        "assert 'tensorflow_probability' not in sys.modules; print(float(flow.forward([[1.0] * 7])"
        "[0, 0]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "flow.keras")],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = float(flow.forward(np.ones((1, 7), "float32"))[0, 0])
    assert float(result.stdout) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "kind", "count"),
    [(795, RealNVP, 1024), (3083, RealNVP, 1024), (795, InverseAutoregressiveFlow, 4)],
)
def test_there_and_back_after_training_at_the_sizes_of_the_paper(size, kind, count):
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(20, size))
    rows = (generator.normal(size=(1024, 20)) @ mixing / 20**0.5).astype("float32")
    rows += 0.1 * generator.normal(size=rows.shape).astype("float32")
    # As the zoo's recipes have them.
    blocks, hidden = (6, (128, 128)) if kind is RealNVP else (2, (128,))
    flow = kind(size, num_blocks=blocks, hidden=hidden)
    flow.adapt(rows)
    model = LikelihoodModel(flow)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
    history = model.fit(rows, batch_size=128, epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.1
    rows = rows[:count]
    inverse = tf.function(flow.inverse)  # hundreds of steps are slow one by one
    np.testing.assert_allclose(inverse(flow.forward(rows)), rows, atol=1e-4)


def test_rows_that_are_not_finite_are_refused(rows):
    flow = RealNVP(7, num_blocks=1, hidden=(8,))
    rows[3, 2] = np.nan
    rows[5, 0] = np.inf
    model = LikelihoodModel(flow)
    model.compile("adam")
    for learn in (flow.adapt, model.fit):
        with pytest.raises(ValueError, match="in 2 of 20 rows, the first of them number 3"):
            learn(rows)


def test_bad_arguments(flow):
    with pytest.raises(ValueError, match="at least 2 coordinates"):
        RealNVP(1)
    with pytest.raises(ValueError, match="at least 2 coordinates"):
        RealNVP(5, max_log_scale=0)
    with pytest.raises(ValueError, match="from rows, received none"):
        flow.adapt(np.zeros((0, 7), "float32"))
    with pytest.raises(TypeError, match="Expected a flow, such as .*, received str"):
        LikelihoodModel("flow.keras")
    for call in (flow.forward, flow.inverse, flow.log_prob, flow.adapt):
        with pytest.raises(ValueError, match=r"rows of 7 weights, received .* \(4, 6\)"):
            call(np.zeros((4, 6), "float32"))
