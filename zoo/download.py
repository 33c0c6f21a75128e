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
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence

import filelock

from mc_keras.progress import ProgressBar
from mc_keras.storage import sha256_of_file
from mc_keras.zoo.manifest import ZOO_FOLDER, ConnectionEntry, Entry, WeightsFile
from mc_keras.zoo.transfer import TransferError, download

_SILENT_WAIT = 5.0  # seconds


def fetch(
    entry: Entry | ConnectionEntry,
    role: str,
    source: str | os.PathLike[str] | None = None,
    *,
    base_urls: Sequence[str] = (),
    verbose: int = 1,
) -> pathlib.Path:
    """Finds one weights file of an entry; downloads it into the cache if no place here has it.

    Args:
        entry: The entry.
        role: `"start"` or `"end"`, or `"connection"`.
        source: A folder or base URL that the file must come from. What was downloaded before is
            not downloaded again.
        base_urls: Base URLs to try after those of `$MC_KERAS_ZOO_URL`.
        verbose: 1 shows a progress bar on stderr while downloading, 0 nothing. A line says so if
            another process downloads the file and is waited for.

    Returns:
        The path of the verified file.

    Raises:
        ValueError: If no place has the file; the message says what was the matter with each.
        OSError: If the cache cannot be written.
    """
    record = entry.files[role]
    cached = cache_folder().joinpath(
        entry.name, str(entry.version), record.sha256[:12], pathlib.PurePosixPath(record.path).name
    )
    bases = [ZOO_FOLDER, *_urls_of_environment(), *base_urls] if source is None else [source]
    candidates = [_below(base, record.path) for base in bases]
    if source is None or isinstance(candidates[0], str):
        candidates.insert(0, cached)
    problems = []
    for candidate in candidates:
        try:
            if isinstance(candidate, str):
                return _download(candidate, cached, record, verbose)
            return _verified(candidate, record)
        except (TransferError, _NotTheFile) as problem:
            problems.append(str(problem))
    raise ValueError(
        f"No place has the zoo's file {record.path} ({record.size} bytes, sha256 "
        f"{record.sha256}). Looked in: {'; '.join(problems)}. Name a folder or URL that has it, "
        "as the source or in MC_KERAS_ZOO_URL."
    )


def cache_folder() -> pathlib.Path:
    """The folder that downloads are kept in; it need not exist."""
    if home := os.environ.get("MC_KERAS_HOME"):
        return pathlib.Path(home).expanduser()
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    return pathlib.Path(keras_home).expanduser() / "mc_keras"


class _NotTheFile(Exception):
    """A file is not there, or is another one."""


def _urls_of_environment() -> list[str]:
    urls = os.environ.get("MC_KERAS_ZOO_URL", "").split(",")
    return [url.strip() for url in urls if url.strip()]


def _below(base: str | os.PathLike[str], path: str) -> pathlib.Path | str:
    """The file at a relative path below a base: a local path, or a URL as a string."""
    base = os.fspath(base)
    if "://" not in base:
        return pathlib.Path(base).expanduser() / path
    parts = urllib.parse.urlsplit(base)
    if parts.scheme == "file":
        return pathlib.Path(urllib.request.url2pathname(parts.path)) / path
    if parts.scheme in ("http", "https"):
        return f"{base.rstrip('/')}/{path}"
    raise ValueError(
        f"A place of the zoo's files must be a folder or an http, https or file URL, not {base!r}."
    )


def _verified(file: pathlib.Path, record: WeightsFile) -> pathlib.Path:
    if not os.path.isfile(file):
        raise _NotTheFile(f"{file} does not exist")
    size = file.stat().st_size
    if size != record.size:
        raise _NotTheFile(f"{file} is truncated or another file: it has {size} bytes")
    if (sha256 := sha256_of_file(file)) != record.sha256:
        raise _NotTheFile(f"{file} is altered or another file: its sha256 is {sha256}")
    return file


@contextlib.contextmanager
def _locked(file: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a file of the cache; says what is waited for if that takes long."""
    lock = filelock.FileLock(f"{file}.lock")
    try:
        lock.acquire(timeout=_SILENT_WAIT)
    except filelock.Timeout:
        print(
            f"Waiting for another process, which downloads {file} and holds {lock.lock_file}; end "
            "that one to download here.",
            file=sys.stderr,
            flush=True,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(url: str, file: pathlib.Path, record: WeightsFile, verbose: int) -> pathlib.Path:
    if os.environ.get("MC_KERAS_OFFLINE", "0") not in ("", "0"):
        raise TransferError(f"{url} was not asked, as MC_KERAS_OFFLINE is set")
    bar = ProgressBar(record.path, record.size, verbose=verbose, in_bytes=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file):
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
