"""One file over HTTP: resumed, retried, verified, atomic.

Bytes are collected in `<file>.part`; the file itself appears whole and verified, or not at all.
"""

import contextlib
import http.client
import os
import pathlib
import re
import string
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mc_keras._version import __version__
from mc_keras.storage import sha256_of_file
from mc_keras.zoo.pace import BLOCK, open_url

# What is shorter is fetched again sooner than a leftover is understood.
_WORTH_KEEPING = 1 << 20


class TransferError(ValueError):
    """A file could not be fetched from one URL; asking again is of no use."""

    def __init__(self, text: str):
        # What a server says goes to somebody's terminal.
        line = " ".join(text.split())
        super().__init__(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        )


class AbsentError(TransferError):
    """The server has no such file."""


class UnavailableError(TransferError):
    """Nobody could be asked for the file; what was received before is good."""


class _Stopped(TransferError):
    """The transfer was cut off more often than is tolerated; what was received is good."""


class _Interrupted(Exception):
    """The transfer stopped for a reason that may pass."""


class _TooSlow(_Interrupted):
    """The bytes came too slowly, or no more of them."""


class _NoAnswer(_Interrupted):
    """The server did not answer, or only that it cannot at present."""


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
    answers range requests; otherwise it begins again, and so it does, once, if the pieces are not
    those of one file. Cut connections, time-outs, servers slower than 1 KiB/s, and the answers 408,
    429 and 5xx are retried, with delays that double; other answers are not.

    Args:
        url: An http or https URL.
        file: Where to put it, in an existing folder that only this process writes to.
        size: Its size in bytes.
        sha256: Hexadecimal digest of its bytes.
        on_progress: Called with the number of bytes that are there.
        attempts: How many times the transfer may stop without getting a block of 64 KiB further,
            or 1 MiB where it is the server that is too slow.
        first_delay: Seconds before the first repetition.

    Raises:
        AbsentError: If the server says that it has no such file.
        UnavailableError: If there is no such server, or it is down.
        TransferError: If the URL answers with another error or with another file.
        OSError: If the disk is full or the folder cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    with _short_or_useless_parts_removed(part):
        resumed = _collect(url, part, size, on_progress, attempts, first_delay)
        if resumed and sha256_of_file(part) != sha256:
            # The pieces may be of different files: the server's has changed since the first.
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
    except (_Stopped, UnavailableError):
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
) -> bool:
    """Fills `part`, with as many requests as it takes; whether there was a piece of it before."""
    resumed = _size(part) > 0
    furthest = _size(part)
    failures = 0
    while _size(part) != size:
        resumed = resumed or _size(part) > 0
        try:
            _receive(url, part, size, on_progress)
        except _Interrupted as error:
            failures += 1
            # Else a server that is too slow would get far enough for ever.
            enough = 16 * BLOCK if isinstance(error, _TooSlow) else BLOCK
            if _size(part) >= furthest + enough:
                furthest, failures = _size(part), 1
            if failures >= attempts:
                kind = UnavailableError if isinstance(error, _NoAnswer) else _Stopped
                raise kind(
                    f"{url} was cut off at {_size(part)} of {size} bytes, {failures} times in a "
                    f"row ({error})"
                ) from error
            time.sleep(first_delay * 2 ** (failures - 1))
    return resumed


def _receive(url: str, part: pathlib.Path, size: int, on_progress: Callable[[int], None]) -> None:
    """Appends to `part` what one request brings: all that is missing, or a good piece of it."""
    offset = _size(part)
    with open(part, "ab") as handle, _ask(url, offset) as response:
        extent = _extent(response)
        if extent.total not in (None, size):
            raise _other_file(url, response, f"{extent.total} bytes, expected {size}")
        received = extent.start
        if received < offset:
            handle.truncate(received)
        on_progress(received)
        while block := _read(response):
            received += len(block)
            if received > size:
                raise _other_file(url, response, f"more than {size} bytes")
            handle.write(block)
            on_progress(received)
    if received == size:
        return
    if response.status != 206 and response.chunked:  # such an answer tells its end from a cut
        raise _other_file(url, response, f"{received} bytes, expected {size}")
    if received != extent.stop or received < offset + BLOCK:
        raise _Interrupted(f"the connection ended{_encoding(response)}")


class _Extent(NamedTuple):
    """The bytes of a file that an answer brings, and how many the file has; `None`: not said."""

    start: int
    stop: int | None
    total: int | None


def _extent(response: http.client.HTTPResponse) -> _Extent:
    """What an answer says of itself; it begins at -1 if that is no sense."""
    if response.status != 206:
        return _Extent(0, response.length, response.length)
    said = response.headers.get("Content-Range", "")
    # With more digits it is no number of bytes, and `int` may refuse it.
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", said)
    if not found:
        return _Extent(-1, None, None)
    start, last, total = found.groups()
    return _Extent(int(start), int(last) + 1, None if total == "*" else int(total))


def _ask(url: str, offset: int) -> http.client.HTTPResponse:
    """An answer that begins at an offset of the file or, if the server will not do so, at 0."""
    response = _open(url, offset)
    if response.status != 206 or _extent(response).start == offset:
        return response
    response.close()
    if offset:
        return _ask(url, 0)
    said = response.headers.get("Content-Range")
    raise _Interrupted(f"it sent a part that was not asked for, Content-Range: {said}")


def _open(url: str, offset: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"mc_keras/{__version__}"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        return open_url(_in_ascii(url), headers)
    except urllib.error.HTTPError as error:
        answer = f"HTTP {error.code} {error.reason}"
        error.close()
        if error.code == 416 and offset:
            return _open(url, 0)
        if error.code in (408, 429) or error.code >= 500:
            raise _NoAnswer(answer) from error
        kind = AbsentError if error.code in (404, 410) else TransferError
        raise kind(f"{url} answered {answer}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _NoAnswer(str(error.reason)) from error
        raise UnavailableError(f"{url} cannot be reached ({error.reason})") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise UnavailableError(f"{url} is not a URL, or leads to none ({error})") from error
    except (http.client.HTTPException, OSError) as error:
        raise _NoAnswer(str(error) or type(error).__name__) from error


def _in_ascii(url: str) -> str:
    """The URL with the characters of its path quoted that HTTP cannot send."""
    parts = urllib.parse.urlsplit(url)
    path, query = (
        urllib.parse.quote(p, safe=string.punctuation) for p in (parts.path, parts.query)
    )
    return parts._replace(path=path, query=query).geturl()


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)
    except (http.client.HTTPException, OSError) as error:
        reason = str(error) or type(error).__name__
        kind = _TooSlow if isinstance(error, TimeoutError) else _Interrupted
        raise kind(reason + _encoding(response)) from error


def _other_file(url: str, response: http.client.HTTPResponse, length: str) -> TransferError:
    return TransferError(f"{url} is another file: it has {length}{_encoding(response)}")


def _encoding(response: http.client.HTTPResponse) -> str:
    """How an answer is encoded, for a message; its bytes are then not those of the file."""
    encoding = response.headers.get("Content-Encoding", "identity")
    return "" if encoding == "identity" else f", sent with Content-Encoding: {encoding}"


def _size(file: pathlib.Path) -> int:
    return file.stat().st_size if file.exists() else 0
