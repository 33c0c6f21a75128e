"""Pairs of trained networks: built from their architecture, with their weights."""

import os
import pathlib
import warnings
from typing import NamedTuple

import keras

from mc_keras.zoo import download
from mc_keras.zoo.architectures import build
from mc_keras.zoo.entries import ROLES, Architecture, Entry
from mc_keras.zoo.manifest import manifest_of


class Pair(NamedTuple):
    """Two networks of one architecture that were trained from different seeds.

    Attributes:
        start: The network at t = 0.
        end: The network at t = 1.
        info: What the zoo's manifest says of them.
    """

    start: keras.Model
    end: keras.Model
    info: Entry


def load_pair(name: str, source: str | os.PathLike[str] | None = None, *, verbose: int = 1) -> Pair:
    """Loads a pair of the zoo, downloading what is not there.

    Args:
        name: Name of the pair, one of `mc_keras.zoo.list()`.
        source: A folder or base URL to take the files from. Default: the cache, the package, then
            the base URLs of `$MC_KERAS_ZOO_URL`. A folder with a manifest of its own, as
            `mc-zoo add` makes it, is a zoo of its own.
        verbose: 1 shows a progress bar while downloading, 0 nothing.

    Returns:
        The pair. Both networks take raw `uint8` images and give logits.

    Raises:
        ValueError: If there is no such pair, or its files are missing, truncated or altered.
        OSError: If a file must be downloaded and the cache cannot be written.

    Example:
    >>> pair = load_pair("fc_digits")
    >>> pair.start.output_shape
    (None, 10)
    """
    manifest = manifest_of(source)
    entry = manifest[name]
    files = download.fetch_all(entry, source, base_urls=manifest.base_urls, verbose=verbose)
    start, end = (read_weights(entry.architecture, files[role]) for role in ROLES)
    return Pair(start, end, entry)


def read_weights(architecture: Architecture, file: str | os.PathLike[str]) -> keras.Model:
    """Builds a network and loads a `.weights.h5` file into it.

    The file may hold its numbers in fewer bits than the network (`float16`).

    Raises:
        ValueError: If the file is truncated or altered, or belongs to another architecture.
    """
    model = build(
        architecture.builder,
        architecture.input_shape,
        architecture.num_classes,
        **architecture.config,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that of Keras before the error
            model.load_weights(pathlib.Path(file))
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Keras goes on with the weights that did not fit.
        reason = f"{error}".partition("\n")[0][:200]
        raise ValueError(
            f"The weights file {os.fspath(file)} is truncated or altered, or it belongs to another "
            f"network than {architecture.builder!r} with {architecture.num_classes} classes and "
            f"{dict(architecture.config)}: {reason}"
        ) from error
    return model
