"""The look of a method is the same wherever it is drawn."""

import itertools

import numpy as np
import pytest

from mc_keras.connectors import names
from mc_keras.plotting.style import method_styles, new_figure

PLANNED = [
    "ot",
    "linear+wa",
    "arc+wa",
    "ot+wa",
    "linear+bfly",
    "arc+bfly",
    "ot+bfly",
    "rnvp_flow",
    "iaf_flow",
]


def test_all_methods_look_different():
    methods = [*{*names(), *PLANNED}, "my_method", "another"]
    assert len(set(method_styles(methods).values())) == len(methods)


def test_a_known_method_looks_the_same_in_any_company():
    alone = method_styles(["ot+wa"])["ot+wa"]
    assert method_styles(["unknown", "arc", "ot+wa"])["ot+wa"] == alone


def test_unknown_methods_look_the_same_in_any_order():
    assert method_styles(["mine", "arc", "other"]) == method_styles(["other", "mine", "arc"])


@pytest.mark.parametrize("addition", ["wa", "bfly"])
def test_an_addition_keeps_the_color_of_its_family_and_changes_the_dash(addition):
    styles = method_styles(["arc", f"arc+{addition}"])
    assert styles["arc"].color == styles[f"arc+{addition}"].color
    assert styles["arc"].dash != styles[f"arc+{addition}"].dash


def _linear(color):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def test_lines_are_visible_on_white():
    for style in method_styles({*names(), *PLANNED}).values():
        luminance = _linear(style.color) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) > 2.0


# Machado, Oliveira and Fernandes, 2009, severity 1.0.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def _lab(linear):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_families_stay_apart_for_colour_blind_readers(vision):
    colors = {style.color for style in method_styles({*names(), "rnvp_flow"}).values()}
    seen = [_lab(np.array(VISION[vision]) @ _linear(color)) for color in colors]
    # A difference of 2.3 is just noticeable.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_figures_stay_out_of_pyplot():
    import sys

    before = "matplotlib.pyplot" in sys.modules
    new_figure(3, 2)
    assert ("matplotlib.pyplot" in sys.modules) == before
