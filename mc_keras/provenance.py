"""What a result file needs to be produced again: versions of everything that computed it."""

import importlib.metadata
import platform

from mc_keras._version import __version__


def versions() -> dict[str, str]:
    """Versions of this package, of what it computes with, and of Python."""
    found = {"mc_keras": __version__, "python": platform.python_version()}
    for package in ("keras", "tensorflow", "numpy", "scipy"):
        found[package] = importlib.metadata.version(package)
    return found
