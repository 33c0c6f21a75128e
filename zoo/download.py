"""Where the files of the zoo are found: places in order, the cache, downloads.

A file is taken only if its size and SHA-256 digest are those of the manifest. It is looked for in

1. the place that the caller names, and then nowhere else; otherwise in
2. the cache: `$MC_KERAS_HOME`, else `$KERAS_HOME/mc_keras`, else `~/.keras/mc_keras`;
3. the folder of the package or checkout that holds `manifest.json`;
4. each base URL in `$MC_KERAS_ZOO_URL` (separated by commas), then those of the manifest.

A base URL is `http(s)://...`, `file://...` or a folder; below every one the files have the same
relative paths, so that any static file server is a mirror. With `MC_KERAS_OFFLINE=1` nothing is
asked over a network.
"""

import contextlib
import os
import pathlib
import urllib.request
from collections.abc import Sequence

from mc_keras.locks import locked
from mc_keras.progress import ProgressBar
from mc_keras.storage import sha256_of_file
from mc_keras.zoo.entries import AnyEntry, WeightsFile
from mc_keras.zoo.manifest import ZOO_FOLDER
from mc_keras.zoo.transfer import AbsentError, TransferError, UnavailableError, download


class NotHereError(ValueError):
    """No place has a file of the name, of those that could be asked."""


class _NotAskedError(NotHereError):
    """One of the places could not be asked, and may have the file."""


def fetch(
    entry: AnyEntry,
    role: str,
    source: str | os.PathLike[str] | None = None,
    *,
    base_urls: Sequence[str] = (),
    verbose: int = 1,
) -> pathlib.Path:
    """Finds one weights file of an entry; downloads it into the cache if no place here has it.

    Args:
        entry: The entry.
        role: One of `entry.files`.
        source: A folder or base URL that the file must come from. What was downloaded before is
            not downloaded again.
        base_urls: Base URLs to try after those of `$MC_KERAS_ZOO_URL`.
        verbose: 1 shows a progress bar on stderr while downloading, 0 nothing. A line says so if
            another process downloads the file and is waited for.

    Returns:
        The path of the verified file.

    Raises:
        NotHereError: If no place has a file of its name, of those that could be asked.
        ValueError: If no place has the file. The message says, as it does above, what was the
            matter with each and how to make the file again.
        OSError: If the cache cannot be written.
    """
    record = entry.files[role]
    cached = _cached(entry, record)
    problems: list[Exception] = []
    for candidate in _candidates(entry, record, source, base_urls):
        try:
            if isinstance(candidate, str):
                return _download(candidate, cached, record, verbose)
            return _verified(candidate, record)
        except (TransferError, _NotTheFile) as problem:
            problems.append(problem)
    looked = (
        f"No place has the zoo's file {record.path} ({record.size} bytes, sha256 "
        f"{record.sha256}). Looked in: {'; '.join(' '.join(str(p).split()) for p in problems)}."
    )
    raise _kind(problems)(
        f"{looked} Make its like again by `{' && '.join(entry.made_by)}` and name "
        f"{entry.its_like}, or name a folder or URL that has this very file, as the source or in "
        "MC_KERAS_ZOO_URL."
    )


def fetch_all(
    entry: AnyEntry,
    source: str | os.PathLike[str] | None = None,
    *,
    base_urls: Sequence[str] = (),
    verbose: int = 1,
) -> dict[str, pathlib.Path]:
    """Finds all files of an entry, see `fetch`.

    Returns:
        By role the path of the verified file.

    Raises:
        NotHereError: If no place has a file of any of their names, of those that could be asked.
        ValueError: If no place has one of the files.
        OSError: If the cache cannot be written.
    """
    found, missing = {}, []
    for role in entry.files:
        try:
            found[role] = fetch(entry, role, source, base_urls=base_urls, verbose=verbose)
        except NotHereError as error:
            missing.append(error)
    if missing and found and not isinstance(missing[0], _NotAskedError):
        raise ValueError(str(missing[0]))
    if missing:
        raise missing[0]
    return found


def is_here(
    entry: AnyEntry,
    source: str | os.PathLike[str] | None = None,
    *,
    base_urls: Sequence[str] = (),
) -> bool:
    """Whether files of all names of an entry are on this machine; their contents are not read."""
    return all(
        any(
            os.path.isfile(candidate)
            for candidate in _candidates(entry, record, source, base_urls)
            if not isinstance(candidate, str)
        )
        for record in entry.files.values()
    )


def is_offline() -> bool:
    """Whether `MC_KERAS_OFFLINE` forbids every connection."""
    return os.environ.get("MC_KERAS_OFFLINE", "0") not in ("", "0")


def check_source(source: str | os.PathLike[str] | None) -> None:
    """Raises ValueError if a source is a URL that no file can be taken from."""
    scheme, is_url, _ = os.fspath(source or "").partition("://")
    if is_url and scheme.lower() not in ("file", "http", "https"):
        raise ValueError(
            "A place of the zoo's files must be a folder or an http, https or file URL, not "
            f"{source!r}."
        )


def cache_folder() -> pathlib.Path:
    """The folder that downloads are kept in; it need not exist."""
    if home := os.environ.get("MC_KERAS_HOME"):
        return pathlib.Path(home).expanduser()
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    return pathlib.Path(keras_home).expanduser() / "mc_keras"


class _NotTheFile(Exception):
    """A file is not there, or is another one."""


class _NoFile(_NotTheFile):
    """A file is not there."""


def _cached(entry: AnyEntry, record: WeightsFile) -> pathlib.Path:
    """Where the cache has a file, or will have it."""
    return cache_folder().joinpath(
        entry.name, str(entry.version), record.sha256[:12], pathlib.PurePosixPath(record.path).name
    )


def _candidates(
    entry: AnyEntry,
    record: WeightsFile,
    source: str | os.PathLike[str] | None,
    base_urls: Sequence[str],
) -> list[pathlib.Path | str]:
    """Where a file is looked for, in this order: local paths, and URLs as strings."""
    check_source(source)
    bases = [ZOO_FOLDER, *_urls_of_environment(), *base_urls] if source is None else [source]
    candidates = [_below(base, record.path) for base in bases]
    if source is None or isinstance(candidates[0], str):
        candidates.insert(0, _cached(entry, record))
    return candidates


def _urls_of_environment() -> list[str]:
    urls = os.environ.get("MC_KERAS_ZOO_URL", "").split(",")
    return [url.strip() for url in urls if url.strip()]


def _below(base: str | os.PathLike[str], path: str) -> pathlib.Path | str:
    """The file at a relative path below a base: a local path, or a URL as a string."""
    base = os.fspath(base)
    scheme, is_url, rest = base.partition("://")
    if not is_url:
        # Unlike `Path.expanduser` this leaves the home of an unknown user alone.
        return pathlib.Path(os.path.expanduser(base)) / path
    if scheme.lower() == "file":
        _, _, folder = rest.partition("/")  # after the host, which is most often empty
        return pathlib.Path(urllib.request.url2pathname(f"/{folder}")) / path
    return f"{base.rstrip('/')}/{path}"


def _kind(problems: Sequence[Exception]) -> type[ValueError]:
    """What the problems of all places come to."""
    if not all(isinstance(p, AbsentError | UnavailableError | _NoFile) for p in problems):
        return ValueError
    return (
        _NotAskedError if any(isinstance(p, UnavailableError) for p in problems) else NotHereError
    )


def _verified(file: pathlib.Path, record: WeightsFile) -> pathlib.Path:
    if not os.path.isfile(file):
        raise _NoFile(f"{file} does not exist")
    size = file.stat().st_size
    if size != record.size:
        raise _NotTheFile(f"{file} is truncated or another file: it has {size} bytes")
    if (sha256 := sha256_of_file(file)) != record.sha256:
        raise _NotTheFile(f"{file} is altered or another file: its sha256 is {sha256}")
    return file


def _download(url: str, file: pathlib.Path, record: WeightsFile, verbose: int) -> pathlib.Path:
    if is_offline():
        raise UnavailableError(f"{url} was not asked, as MC_KERAS_OFFLINE is set")
    bar = ProgressBar(record.path, record.size, verbose=verbose, in_bytes=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(f"{file}.lock", f"downloads {file}"):
            # Another process may have fetched it while this one waited for the lock.
            with contextlib.suppress(_NotTheFile):
                return _verified(file, record)
            file.unlink(missing_ok=True)
            download(url, file, size=record.size, sha256=record.sha256, on_progress=bar.reach)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write the download cache {file.parent}: {error.strerror}. Free some space "
            "there, or set MC_KERAS_HOME to a folder that can be written.",
        ) from error
    return file
