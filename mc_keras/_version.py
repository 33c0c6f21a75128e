"""The version of the package; written into every result and path file."""

__version__ = "0.1.0"
