import itertools

import numpy as np

import mc_keras as mc
from tests.units.networks import depthwise_pair


def rows(weights):
    kernel, bias, out, _ = weights
    return np.hstack([kernel.T, bias[:, None], out])


def test_lengths_of_the_butterflies_go_linearly(dense_pair):
    path = mc.connect(*dense_pair[:2], "slerp")
    start, end = (np.linalg.norm(rows(m.get_weights()), axis=1) for m in dense_pair[:2])
    for t in (0.2, 0.5, 0.7):
        lengths = np.linalg.norm(rows(path(t)), axis=1)
        np.testing.assert_allclose(lengths, (1 - t) * start + t * end, rtol=1e-5)


def test_directions_turn_at_constant_speed(dense_pair):
    path = mc.connect(*dense_pair[:2], "slerp")
    unit = [rows(path(t)) for t in np.linspace(0, 1, 5)]
    unit = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in unit]
    steps = [np.arccos(np.sum(a * b, 1)) for a, b in itertools.pairwise(unit)]
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], (4, 7)), rtol=1e-3)


def test_lengths_of_depthwise_rows_and_single_filters():
    """An output channel has a row, its bias included; a single filter goes straight."""
    path = mc.connect(*depthwise_pair(), "slerp")
    matrices = [np.vstack([w.reshape(-1, 8) for w in path(t)[:2]]) for t in (0, 0.5, 1)]
    start, middle, end = (np.linalg.norm(matrix, axis=0) for matrix in matrices)
    np.testing.assert_allclose(middle, (start + end) / 2, rtol=1e-5)
    start, middle, end = (path(t)[2] for t in (0, 0.5, 1))
    np.testing.assert_allclose(middle, (start + end) / 2, atol=1e-6)


def test_a_path_to_itself_stays(dense_pair):
    a = dense_pair[0]
    for w, v in zip(mc.connect(a, a, "slerp")(0.4), a.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, atol=1e-6)
