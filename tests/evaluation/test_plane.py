import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.evaluation import PlaneReport
from mc_keras.tasks import infer_accuracy, infer_loss
from mc_keras.weight_space import WeightSpace
from tests.contracts.paths import PATHS
from tests.networks import batch_norm_network, dense_network


def at(report, space, corners, i, j):
    """A model at node `(x[i], y[j])`, by the formula of Gram and Schmidt."""
    first, second, third = (
        np.concatenate([a.ravel() for a in p]).astype("float64") for p in corners
    )
    u = (second - first) / np.linalg.norm(second - first)
    v = third - first
    v = v - (v @ u) * u
    v = v / np.linalg.norm(v)
    flat = first + report.x[i] * u + report.y[j] * v
    sizes = np.cumsum([a.size for a in corners[0]])[:-1]
    point = [
        part.reshape(a.shape).astype("float32")
        for part, a in zip(np.split(flat, sizes), corners[0], strict=True)
    ]
    space.write(point)
    return space.model


def test_nodes_are_those_of_the_formula(dense_pair):
    start, end, (x, y) = dense_pair
    curve = PATHS["bezier"](start, end)
    splits = {"train": (x, y), "test": (x[:50], y[:50])}
    report = mc.evaluate_plane(curve, splits, 4, margin=0.3, verbose=0)
    assert report["test_loss"].shape == (4, 4)
    corners = [curve(0.0), curve(1.0), curve.control_points[1]]
    space = WeightSpace(curve.model(0.0))
    model = space.model
    model.compile(loss=infer_loss(model, y), metrics=[infer_accuracy(model, y)])
    for i, j in ((0, 0), (3, 1), (1, 2)):
        loss, accuracy = at(report, space, corners, i, j).evaluate(x, y, verbose=0)
        assert report["train_loss"][j, i] == pytest.approx(loss, rel=1e-5)
        assert report["train_accuracy"][j, i] == pytest.approx(accuracy, abs=1e-7)


def test_a_curve_with_one_bend_lies_in_its_plane_and_an_arc_beside(dense_pair):
    start, end, split = dense_pair
    curve = PATHS["bezier"](start, end)
    others = {"line": mc.connect(start, end, "linear"), "arc": mc.connect(start, end, "arc")}
    report = mc.evaluate_plane(curve, {"test": split}, 2, paths=others, verbose=0)
    assert list(report.points) == ["start", "end", "bend"]
    assert report.projections[curve.method].residual.max() < 1e-5
    assert report.projections["line"].residual.max() < 1e-5
    assert report.projections["arc"].residual.max() > 0.01
    width = report.points["end"][0]
    line = report.projections["line"]
    np.testing.assert_allclose(line.x, line.t * width, atol=1e-5)
    np.testing.assert_allclose(line.y, 0, atol=1e-5)
    middle = report.projections[curve.method]
    expected = np.array([[0.25], [0.25], [0.5]]) * list(report.points.values())
    assert (middle.x[30], middle.y[30]) == pytest.approx(expected.sum(0), abs=1e-5)


def test_corners_of_the_grid_are_the_three_networks(dense_pair):
    start, end, (x, y) = dense_pair
    third = dense_network(2)
    report = mc.evaluate_plane([start, end, third], {"test": (x, y)}, 2, margin=0, verbose=0)
    loss = infer_loss(start, y)
    assert report["test_loss"][0, 0] == pytest.approx(float(loss(y, start(x))), rel=1e-5)
    space = mc.connect(start, end, "linear").space
    lists = [WeightSpace(model).read() for model in (start, end, third)]
    same = mc.evaluate_plane(lists, {"test": (x, y)}, 2, margin=0, space=space, verbose=0)
    np.testing.assert_array_equal(same["test_loss"], report["test_loss"])


def test_batch_norm_is_measured_at_every_node(batch_norm_pair):
    start, end, (x, y) = batch_norm_pair
    models = [start, end, batch_norm_network(2)]
    report = mc.evaluate_plane(models, {"train": (x, y)}, 2, margin=0.1, verbose=0)
    corners = [WeightSpace(model).read() for model in models]
    space = WeightSpace(keras.models.clone_model(start))
    model = at(report, space, corners, 1, 0)
    line = mc.connect(model, end, "linear")
    expected = mc.evaluate_path(line, {"train": (x, y)}, 2, verbose=0)["train_loss"][0]
    assert report["train_loss"][0, 1] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="split named 'train'"):
        mc.evaluate_plane(models, {"test": (x, y)}, 2, verbose=0)


def test_a_finished_plane_is_not_computed_again(dense_pair, tmp_path):
    start, end, split = dense_pair
    curve = PATHS["polygonal chain"](start, end)
    options = {"checkpoint": tmp_path / "plane.checkpoint", "verbose": 0}
    first = mc.evaluate_plane(curve, {"test": split}, 3, **options)
    assert list(first.points) == ["start", "end", "middle"]
    again = mc.evaluate_plane(curve, {"test": split}, 3, **options)
    np.testing.assert_array_equal(first["test_loss"], again["test_loss"])
    with pytest.raises(ValueError, match="its grid differs"):
        mc.evaluate_plane(curve, {"test": split}, 4, **options)


def test_a_checkpoint_of_other_statistics_is_refused(batch_norm_pair, tmp_path):
    start, end, (x, y) = batch_norm_pair
    models = [keras.models.clone_model(start) for _ in range(3)]
    for model, scale in zip(models, (1.0, 1.3, 0.2), strict=True):
        model.set_weights([scale * w for w in start.get_weights()])
        for layer in model.layers:
            layer.trainable = False
    models[2].set_weights(end.get_weights())
    options = {"checkpoint": tmp_path / "plane.checkpoint", "verbose": 0}
    mc.evaluate_plane(models, {"test": (x, y)}, 2, **options)
    models[0].layers[2].moving_mean.assign(np.full(5, 7.0))
    with pytest.raises(ValueError, match="its points differs"):
        mc.evaluate_plane(models, {"test": (x, y)}, 2, **options)


def test_saved_and_loaded_it_is_the_same(dense_pair, tmp_path):
    start, end, split = dense_pair
    report = mc.evaluate_plane(PATHS["bezier"](start, end), {"test": split}, 2, verbose=0)
    report.values["test_loss"][0, 1] = np.nan
    report.save(tmp_path / "plane.json")
    loaded = PlaneReport.load(tmp_path / "plane.json")
    assert loaded.names == report.names == ("test_loss", "test_accuracy")
    assert loaded.points == report.points
    for name in report.names:
        np.testing.assert_array_equal(loaded[name], report[name])
    for a, b in zip(loaded.projections["affine"], report.projections["affine"], strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"is not a mc_keras\.path_report"):
        mc.PathReport.load(tmp_path / "plane.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda a, b, path: {"points": mc.connect(a, b, "linear")}, "lie on one line"),
        (lambda a, b, path: {"points": [a, b]}, "goes through three points"),
        (lambda a, b, path: {"points": [path(0), path(0.5), path(1)]}, r"space=path\.space"),
        (lambda a, b, path: {"points": [a, b, dense_network(widths=(4,))]}, "models differ"),
        (lambda a, b, path: {"points": path, "resolution": 1}, "at least 2, received 1"),
        (lambda a, b, path: {"points": path, "margin": -1}, "at least 0, received -1"),
        (lambda a, b, path: {"points": path, "batch_size": -3}, "at least 1, or None, received -3"),
    ],
)
def test_bad_arguments(dense_pair, arguments, message):
    start, end, split = dense_pair
    path = PATHS["bezier"](start, end)
    with pytest.raises((TypeError, ValueError), match=message):
        mc.evaluate_plane(data={"test": split}, verbose=0, **arguments(start, end, path))
