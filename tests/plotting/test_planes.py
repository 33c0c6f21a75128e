"""Maps of planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mc_keras.plotting import plot_plane
from mc_keras.plotting.planes import log_levels
from tests.reports import plane_report


@given(
    arrays.arrays(float, 20, elements=st.floats(1e-6, 1e6)),
    st.sampled_from([(5.0, -5.0), (40.0, -1.0)]),
)
def test_levels_rise_from_the_lowest_value_to_the_highest_or_the_limit(values, scale):
    limit, _ = scale
    levels = log_levels(values, *scale)
    assert len(levels) == 8
    assert levels[0] == values.min()
    assert np.all(np.diff(levels) > 0)
    top = limit if values.min() < limit < values.max() else values.max()
    low = values.min()
    assert levels[-1] == pytest.approx(top if top > low else low)


def test_the_heights_of_the_levels_grow_by_a_factor():
    levels = log_levels(np.array([0.1, 3.0, 80.0]), limit=5.0, log_step=-5.0)
    ratios = (levels[2:] - levels[0]) / (levels[1:-1] - levels[0])
    np.testing.assert_allclose(ratios, ratios[0])
    # Garipov et al.: the first step would be exp(-5) above the lowest value.
    assert (levels[1] - 0.1) / ratios[0] == pytest.approx(np.exp(-5))


def test_levels_do_without_values_that_are_not_finite():
    values = np.array([0.1, 2.0, np.nan, np.inf])
    np.testing.assert_array_equal(log_levels(values, 5, -5), log_levels(values[:2], 5, -5))
    assert np.isfinite(log_levels(np.array([np.nan]), 5, -5)).all()


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e9, 1e16])
@pytest.mark.parametrize("loss", ["MeanSquaredError", "CategoricalCrossentropy"])
def test_losses_of_any_size_have_a_map_and_levels_of_their_size(size, loss):
    plane = plane_report(loss=loss)
    plane.values["train_loss"][:] *= size
    bar = plot_plane(plane).axes[1]
    labels = [float(label.get_text().strip("> ")) for label in bar.get_yticklabels()]
    assert labels[0] == pytest.approx(plane["train_loss"].min(), rel=0.05)
    if loss == "MeanSquaredError":
        assert len(set(labels)) > 5
        assert labels[-1] <= plane["train_loss"].max() * 1.05


def lines(figure):
    return {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid()}


def test_the_paths_are_drawn_where_they_are():
    plane = plane_report()
    drawn = lines(plot_plane(plane, "train_loss"))
    assert set(drawn) == {"method:bezier", "method:arc"}
    for method, path in plane.projections.items():
        np.testing.assert_array_equal(drawn[f"method:{method}"].get_xdata(), path.x)
        np.testing.assert_array_equal(drawn[f"method:{method}"].get_ydata(), path.y)


def test_a_path_off_the_plane_is_called_so():
    legend = plot_plane(plane_report(off_plane=10.0)).axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["bezier", "arc, up to 2.5 off the plane"]


def test_the_points_have_their_names_and_distances_are_true():
    axes = plot_plane(plane_report()).axes[0]
    assert {text.get_text(): text.xy for text in axes.texts} == {
        "A": (0.0, 0.0),
        "B": (10.0, 0.0),
        "bend": (5.0, 2.0),
    }
    assert axes.get_aspect() == 1
    assert not axes.get_ylabel()


def test_a_flat_plane_is_drawn_higher_and_says_so():
    axes = plot_plane(plane_report(height=0.01)).axes[0]
    assert axes.get_aspect() == pytest.approx(0.2 * 14 / 0.028)
    assert axes.get_ylabel() == "drawn 100 times\nas large"


def test_an_accuracy_is_drawn_as_an_error_in_per_cent():
    plane = plane_report(height=4.0)
    bar = plot_plane(plane, "test_accuracy").axes[1]
    assert bar.get_ylabel() == "test error (%)"
    labels = [label.get_text() for label in bar.get_yticklabels()]
    assert labels[0] == f"{100 - 100 * plane['test_accuracy'].max():.2g}"
    assert labels[-1] == "> 40"


def test_a_plane_with_nan_and_a_flat_one_can_be_drawn(tmp_path):
    plot_plane(plane_report(nan_at=[(0, 0), (3, 4)])).savefig(tmp_path / "nan.png")
    flat = plane_report()
    flat.values["train_loss"][:] = 0.5
    plot_plane(flat).savefig(tmp_path / "flat.png")
    assert all(file.stat().st_size > 1000 for file in tmp_path.iterdir())


def test_an_unknown_quantity_is_refused():
    with pytest.raises(ValueError, match="no 'test_f1'; it has train_loss"):
        plot_plane(plane_report(), "test_f1")
