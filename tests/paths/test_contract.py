"""What every kind of path promises."""

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.weight_space import WeightSpace
from tests.contracts.paths import PATHS, tensor_point


@pytest.fixture(scope="module", params=["dense_pair", "batch_norm_pair"])
def pair(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=PATHS)
def path(request, pair):
    return PATHS[request.param](*pair[:2])


def test_ends_are_exact(path, pair):
    for t, model in ((0, pair[0]), (1.0, pair[1])):
        space = WeightSpace(model)
        for a, b in zip(path(t), space.read(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(path.state(t), space.read_state(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_points_fit_the_variables(path):
    for t in (0.0, 0.2, 0.5, 1.0):
        for array, variable in zip(path(t), path.variables, strict=True):
            assert array.shape == tuple(variable.shape)
            assert array.dtype == variable.dtype
            assert array.flags.writeable


def test_points_are_copies(path):
    for t in (0.0, 0.5):
        before = path(t)
        for array in path(t):
            array[...] = 7
        for a, b in zip(before, path(t), strict=True):
            np.testing.assert_array_equal(a, b)


def test_continuity(path):
    length = mc.paths.arc_length(path)
    for t in [*path.knots[1:-1], 0.3]:
        for gap in (1e-3, 1e-6):
            step = mc.paths.distance(path(t - gap / 2), path(t + gap / 2))
            assert step <= length * gap * 20 + 1e-5


def test_continuity_at_the_ends(path):
    for t, near in ((0.0, 1e-7), (1.0, 1 - 1e-7)):
        assert mc.paths.distance(path(t), path(near)) < 1e-3


def test_knots_run_from_end_to_end(path):
    assert path.knots[0] == 0.0
    assert path.knots[-1] == 1.0
    assert list(path.knots) == sorted(set(path.knots))


def test_save_and_load(path, tmp_path):
    path.provenance = {"seed": 3}
    path.save(tmp_path / "a.path")
    again = mc.load_path(tmp_path / "a.path")
    assert again.method == path.method
    assert again.provenance == path.provenance
    assert again.knots == path.knots
    for t in (0.0, 0.123, 0.5, 0.99, 1.0):
        for a, b in zip(path(t), again(t), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(path.state(t), again.state(t), strict=True):
            np.testing.assert_array_equal(a, b)


def test_tensor_point_is_the_point(path):
    for t in (0.0, 0.07, 0.12, 0.5, 0.8, 1.0):
        point, state = tensor_point(path, t)
        for a, b in zip(path(t) + path.state(t), point + state, strict=True):
            np.testing.assert_allclose(a, keras.ops.convert_to_numpy(b), atol=3e-6)


def test_model_is_an_ordinary_model_at_t(path, pair):
    x = pair[2][0]
    model = path.model(0.4)
    assert isinstance(model, keras.Model)
    expected = path.space(path(0.4), x[:9], state=path.state(0.4))
    np.testing.assert_allclose(model(x[:9], training=False), expected, atol=1e-6)
    for t, end in ((0, pair[0]), (1, pair[1])):
        np.testing.assert_array_equal(path.model(t)(x[:9]), end(x[:9]))


def test_training_a_model_of_the_path_leaves_the_path_as_it_is(batch_norm_pair):
    a, b, (x, y) = batch_norm_pair
    path = mc.connect(a, b)
    model = path.model(0)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model(x[:9]), a(x[:9]))
    np.testing.assert_array_equal(path.model(0)(x[:9]), a(x[:9]))


@pytest.mark.parametrize("t", [-1e-9, 1.0000001, float("nan"), float("inf"), 2])
def test_positions_outside(path, t):
    for call in (path, path.state, path.model):
        with pytest.raises(ValueError, match=r"must be in \[0, 1\], received"):
            call(t)


@pytest.mark.parametrize("t", ["a", None, [0.1, 0.2]])
def test_positions_that_are_no_numbers(path, t):
    with pytest.raises(TypeError, match="must be one number"):
        path(t)
