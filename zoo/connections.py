"""Connection models of the zoo: found for given networks, loaded."""

import os
import pathlib
import zipfile
from typing import Any

import keras

from mc_keras.architecture import structure
from mc_keras.flows import Flow, misfit
from mc_keras.zoo import download
from mc_keras.zoo.architectures import build
from mc_keras.zoo.manifest import manifest_of


def load_connection(
    name: str, source: str | os.PathLike[str] | None = None, *, verbose: int = 1
) -> Flow:
    """Loads a connection model of the zoo, downloading what is not there.

    Args:
        name: Its name in the manifest, such as `"fc_mnist_rnvp_bijection"`.
        source: A folder or base URL to take the file from, as for `load_pair`.
        verbose: 1 shows a progress bar while downloading, 0 nothing.

    Returns:
        The flow; `flow.networks` says which networks it connects.

    Raises:
        ValueError: If there is no such model, or its file is missing, truncated or altered.
        OSError: If the file must be downloaded and the cache cannot be written.
    """
    manifest = manifest_of(source)
    entry = manifest.connection(name)
    file = download.fetch(
        entry, "connection", source, base_urls=manifest.base_urls, verbose=verbose
    )
    return read_connection(file)


def read_connection(file: str | os.PathLike[str]) -> Flow:
    """Reads the `.keras` file of a flow.

    Raises:
        ValueError: If there is no such file, it is truncated or altered, or holds something else.
    """
    file = pathlib.Path(file)
    if not file.is_file():
        raise ValueError(f"There is no connection model {file}; check the name.")
    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file} is not a whole connection model: it was truncated, altered, or is another "
            "kind of file; a connection model is saved by flow.save."
        )
    try:
        flow = keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise ValueError(
            f"{file} is not a whole connection model: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(flow, Flow):
        raise ValueError(
            f"{file} holds a {type(flow).__name__}, not a flow: a connection model is saved by "
            "flow.save."
        )
    return flow


def find_connection(network: keras.Model, method: str) -> str | None:
    """Name of the zoo's connection model of a method that fits a network, or `None`."""
    for name, entry in manifest_of(None).connections.items():
        if entry.method == method and _same(network, entry.architecture):
            return name
    return None


def connection_digests(method: str) -> dict[str, str]:
    """SHA-256 digest of the file of each of the zoo's connection models of a method, by name."""
    return {
        name: entry.files["connection"].sha256
        for name, entry in manifest_of(None).connections.items()
        if entry.method == method
    }


def _same(network: keras.Model, architecture: Any) -> bool:
    described = build(
        architecture.builder,
        architecture.input_shape,
        architecture.num_classes,
        **architecture.config,
    )
    return misfit({"structure": structure(described)}, network) is None
