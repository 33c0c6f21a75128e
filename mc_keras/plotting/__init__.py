"""Figures of path and plane reports; matplotlib is imported on first use."""

from mc_keras.plotting.barriers import plot_barriers
from mc_keras.plotting.paths import plot_paths
from mc_keras.plotting.planes import plot_plane

__all__ = ["plot_barriers", "plot_paths", "plot_plane"]
