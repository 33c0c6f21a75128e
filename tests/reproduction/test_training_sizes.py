"""Figure 5: what is drawn is what was measured, on the examples that the path was adjusted on."""

import json

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.reproduction.training_sizes import compare_training_sizes, plot_training_sizes


@pytest.fixture(scope="module")
def drawn(dense_pair, splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figure5")
    settings = {"num_small": 6, "methods": ["linear+wa"], "num_points": 5, "verbose": 0}
    return folder, compare_training_sizes(*dense_pair[:2], splits, folder, **settings)


def test_few_examples_are_the_first_of_all(drawn, dense_pair, splits):
    folder, reports = drawn
    x, y = splits["train"]
    for size, count in (("small", 6), ("full", len(x))):
        few = {"train": (x[:count], y[:count]), "test": splits["test"]}
        path = mc.connect(*dense_pair[:2], "linear+wa", few)
        expected = mc.evaluate_path(path, few, 5, verbose=0)
        for name in ("train_accuracy", "test_accuracy"):
            np.testing.assert_allclose(reports[size]["linear+wa"][name], expected[name])
        record = json.loads((folder / "figure5.json").read_text())["sizes"][size]["linear+wa"]
        np.testing.assert_allclose(
            record["test_error"], 100 * (1 - expected["test_accuracy"]), atol=1e-9
        )


def test_the_lines_are_the_errors(drawn):
    _, reports = drawn
    drawing = plot_training_sizes(reports)
    for ax, size in zip(drawing.axes, ("small", "full"), strict=True):
        report = reports[size]["linear+wa"]
        for line, split in zip(ax.lines, ("train", "test"), strict=True):
            np.testing.assert_allclose(line.get_ydata(), 100 * (1 - report[f"{split}_accuracy"]))
            assert max(line.get_ydata()) < ax.get_ylim()[1]
    assert drawing.axes[0].get_title(loc="left") == "6 training examples"


def test_few_must_be_fewer_than_all(dense_pair, splits, tmp_path):
    with pytest.raises(ValueError, match="between 1 and 255 examples, received 256"):
        compare_training_sizes(*dense_pair[:2], splits, tmp_path, num_small=256)


@pytest.mark.parametrize("method", ["linear", "typo"])
def test_methods_are_checked_before_the_first_is_measured(dense_pair, splits, tmp_path, method):
    with pytest.raises(ValueError, match=method):
        compare_training_sizes(*dense_pair[:2], splits, tmp_path, methods=["linear+wa", method])
    assert not any(tmp_path.iterdir())
