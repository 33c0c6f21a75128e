import keras
import numpy as np
import pytest

from mc_keras.units.rows import dot, incoming_rows, norms, rows_of
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


def test_depthwise_kernels_have_their_channels_as_units():
    model = keras.Sequential([keras.Input((6, 6, 4)), keras.layers.DepthwiseConv2D(3)])
    (rows,) = incoming_rows(WeightSpace(model))
    assert rows.size == 4
    assert rows.axes == ((0, 2), (1, 0))


def test_single_units_belong_to_no_row():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert incoming_rows(WeightSpace(model))[0].axes == ((0, 0),)
