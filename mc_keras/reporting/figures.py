"""The figures of a comparison as PNG files."""

import pathlib
from typing import TYPE_CHECKING

from mc_keras.plotting import plot_barriers, plot_paths, plot_plane
from mc_keras.storage import PathLike, atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mc_keras.reporting.comparison import Comparison

_DOTS_PER_INCH = 160


def write_figures(folder: PathLike, comparison: "Comparison") -> list[pathlib.Path]:
    """Write the figures of a comparison as PNG.

    Args:
        folder: Where to write `<quantity>.png`, `barriers.png` and
            `plane_<method>_<quantity>.png`.
        comparison: What to draw.

    Returns:
        The files.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    figures: dict[str, Figure] = {
        name: plot_paths(comparison.reports, name) for name in comparison.names
    }
    figures["barriers"] = plot_barriers(comparison.reports, comparison.judged_by)
    for method, plane in comparison.planes.items():
        for name in comparison.mapped:
            figures[f"plane_{method}_{name}"] = plot_plane(plane, name)
    files = []
    for name, figure in figures.items():
        file = folder / f"{name}.png"
        with atomic_write(file) as temporary:
            figure.savefig(temporary, dpi=_DOTS_PER_INCH, facecolor="white")
        files.append(file)
    return files
