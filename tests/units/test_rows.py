import keras
import numpy as np
import pytest

from mc_keras.units.rows import along, dot, incoming_rows, norms, rows_of
from mc_keras.weight_space import WeightSpace
from tests.networks import batch_norm_network, dense_network


def test_one_hidden_layer_has_butterflies():
    space = WeightSpace(dense_network())
    (rows,) = rows_of(space)
    assert rows.size == 7
    assert rows.axes == ((0, 1), (1, 0), (2, 0))
    point = space.read()
    matrix = np.hstack([point[0].T, point[1][:, None], point[2]])
    np.testing.assert_allclose(norms(point, rows), np.linalg.norm(matrix, axis=1), rtol=1e-6)
    np.testing.assert_allclose(dot(point, point, rows), np.sum(matrix**2, 1), rtol=1e-6)


def test_deeper_networks_have_incoming_rows():
    space = WeightSpace(dense_network(widths=(7, 6)))
    assert [(rows.size, rows.axes) for rows in rows_of(space)] == [
        (7, ((0, 1), (1, 0))),
        (6, ((2, 1), (3, 0))),
        (3, ((4, 1), (5, 0))),
    ]


@pytest.mark.parametrize("build", [dense_network, batch_norm_network])
def test_no_weight_is_in_two_rows(build):
    space = WeightSpace(build())
    indices = [index for rows in incoming_rows(space) for index, _ in rows.axes]
    assert len(indices) == len(set(indices))
    for rows in incoming_rows(space):
        for index, axis in rows.axes:
            assert space.variables[index].shape[axis] == rows.size


L = keras.layers
SIZES_AND_AXES = {
    "depthwise": ((6, 6, 4), L.DepthwiseConv2D(3), [(4, ((0, 2), (1, 0)))]),
    "depthwise of one step": ((6, 4), L.DepthwiseConv1D(3), [(4, ((0, 1), (1, 0)))]),
    "depthwise, two units of each channel": (
        (6, 6, 4), L.DepthwiseConv2D(3, depth_multiplier=2), [(8, ((0, (2, 3)), (1, 0)))]
    ),
    "separable": (
        (6, 6, 4),
        L.SeparableConv2D(5, 3, depth_multiplier=2),
        [(8, ((0, (2, 3)),)), (5, ((1, 3), (2, 0)))],
    ),
    "separable, as many filters as channels": (
        (6, 6, 4), L.SeparableConv2D(4, 3), [(4, ((0, 2),)), (4, ((1, 3), (2, 0)))]
    ),
    "transposed": ((6, 6, 4), L.Conv2DTranspose(5, 3), [(5, ((0, 2), (1, 0)))]),
    "transposed, one filter": ((6, 6, 4), L.Conv2DTranspose(1, 3), []),
    "one filter": ((6, 6, 4), L.Conv2D(1, 3), []),
    "one unit": ((3,), L.Dense(1), []),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES_AND_AXES)
def test_units_are_output_features(name):
    shape, layer, expected = SIZES_AND_AXES[name]
    space = WeightSpace(keras.Sequential([keras.Input(shape), layer]))
    assert [(rows.size, rows.axes) for rows in incoming_rows(space)] == expected


def test_rows_of_depthwise_kernels_with_several_units_of_a_channel():
    space = WeightSpace(
        keras.Sequential([keras.Input((6, 6, 4)), L.DepthwiseConv2D(3, depth_multiplier=2)])
    )
    (rows,), rng = incoming_rows(space), np.random.default_rng(0)
    point = [rng.normal(size=variable.shape) for variable in space.variables]
    matrix = np.vstack([point[0].reshape(9, 8), point[1]])
    np.testing.assert_allclose(norms(point, rows), np.linalg.norm(matrix, axis=0))
    values = np.arange(8.0)
    spread = along(values, rows.axes[0][1], point[0].shape) * np.ones_like(point[0])
    np.testing.assert_array_equal(spread.reshape(9, 8), np.tile(values, (9, 1)))
