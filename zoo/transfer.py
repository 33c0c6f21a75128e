"""One file over HTTP: resumed, retried, verified, atomic.

Bytes are collected in `<file>.part`; the file itself appears whole and verified, or not at all.
"""

import contextlib
import http.client
import os
import pathlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from mc_keras._version import __version__
from mc_keras.storage import sha256_of_file

_TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 16
# What is shorter is fetched again sooner than a leftover is understood.
_WORTH_KEEPING = 1 << 20


class TransferError(ValueError):
    """A file could not be fetched from one URL; asking again is of no use."""


class AbsentError(TransferError):
    """The server has no such file."""


class _Stopped(TransferError):
    """The transfer was cut off more often than is tolerated; what was received is good."""


class _Interrupted(Exception):
    """The transfer stopped for a reason that may pass."""


def download(
    url: str,
    file: pathlib.Path,
    *,
    size: int,
    sha256: str,
    on_progress: Callable[[int], None] = lambda received: None,
    attempts: int = 5,
    first_delay: float = 0.5,
) -> None:
    """Fetches `url` to `file`.

    A transfer that was cut off goes on where it stopped, also in a later call, if the server
    answers range requests; otherwise it begins again. Cut connections, time-outs, and the answers
    408, 429 and 5xx are retried, with delays that double; other answers are not.

    Args:
        url: An http or https URL.
        file: Where to put it, in an existing folder that only this process writes to.
        size: Its size in bytes.
        sha256: Hexadecimal digest of its bytes.
        on_progress: Called with the number of bytes that are there.
        attempts: How many times in a row the transfer may stop without getting any further.
        first_delay: Seconds before the first repetition.

    Raises:
        TransferError: If the URL does not answer, answers with an error, or with another file.
        OSError: If the disk is full or the folder cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    with _short_or_useless_parts_removed(part):
        resumed = _size(part) > 0
        _collect(url, part, size, on_progress, attempts, first_delay)
        if resumed and sha256_of_file(part) != sha256:
            # What an earlier call left may have been the wrong part.
            part.unlink()
            _collect(url, part, size, on_progress, attempts, first_delay)
        received = sha256_of_file(part)
        if received != sha256:
            raise TransferError(
                f"{url} is another file: its sha256 is {received}, expected {sha256}"
            )
        os.replace(part, file)


@contextlib.contextmanager
def _short_or_useless_parts_removed(part: pathlib.Path) -> Iterator[None]:
    useless = False
    try:
        yield
    except _Stopped:
        raise
    except (TransferError, OSError):
        useless = True
        raise
    finally:
        if useless or _size(part) < _WORTH_KEEPING:
            part.unlink(missing_ok=True)


def _collect(
    url: str,
    part: pathlib.Path,
    size: int,
    on_progress: Callable[[int], None],
    attempts: int,
    first_delay: float,
) -> None:
    furthest = _size(part)
    failures = 0
    while _size(part) != size:
        try:
            _receive(url, part, size, on_progress)
        except _Interrupted as error:
            failures = 1 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= attempts:
                raise _Stopped(
                    f"{url} was cut off at {_size(part)} of {size} bytes, {failures} times in a "
                    f"row ({error})"
                ) from error
            time.sleep(first_delay * 2 ** (failures - 1))


def _receive(url: str, part: pathlib.Path, size: int, on_progress: Callable[[int], None]) -> None:
    """Appends to `part` what one request brings."""
    with open(part, "ab") as handle:
        received = handle.tell()
        with _open(url, received) as response:
            if received and not _continues(response, received):
                handle.truncate(0)
                received = 0
            if response.length is not None and received + response.length != size:
                raise TransferError(
                    f"{url} is another file: it has {received + response.length} bytes, "
                    f"expected {size}"
                )
            on_progress(received)
            while block := _read(response):
                received += len(block)
                if received > size:
                    raise TransferError(f"{url} is another file: it has more than {size} bytes")
                handle.write(block)
                on_progress(received)
    if received < size:
        raise _Interrupted("the connection ended")


def _open(url: str, offset: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"mc_keras/{__version__}"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        return urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        answer = f"HTTP {error.code} {error.reason}"
        error.close()
        if error.code == 416 and offset:
            return _open(url, 0)
        if error.code in (408, 429) or error.code >= 500:
            raise _Interrupted(answer) from error
        kind = AbsentError if error.code in (404, 410) else TransferError
        raise kind(f"{url} answered {answer}") from error
    except http.client.InvalidURL as error:
        raise TransferError(f"{url} is not a URL ({error})") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _Interrupted(str(error.reason)) from error
        raise TransferError(f"{url} cannot be reached ({error.reason})") from error
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _continues(response: http.client.HTTPResponse, offset: int) -> bool:
    """Whether the server heeded the range request."""
    content_range = response.headers.get("Content-Range", "")
    return response.status == 206 and bool(re.match(rf"bytes {offset}-", content_range))


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_BLOCK)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _size(file: pathlib.Path) -> int:
    return file.stat().st_size if file.exists() else 0
