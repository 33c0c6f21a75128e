"""Opens URLs over HTTP. A server that sends too slowly is a time-out, in headers and in bodies."""

import http.client
import io
import socket
import time
import urllib.request
from typing import Any

_TIMEOUT = 30.0  # seconds without a byte
_LOWEST_RATE = 1 << 10  # bytes per second, over a block
BLOCK = 1 << 16


def open_url(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Sends a GET request and waits for the headers of the answer, also through redirections.

    Neither this nor reading the answer hangs on a server that sends a byte now and then: every
    block of 64 KiB has to come within a minute or so of waiting.

    Args:
        url: An http or https URL.
        headers: Headers of the request.

    Returns:
        The answer, to be read and closed.

    Raises:
        OSError: If the server cannot be reached, answers with an error or is too slow, as
            `urllib.request.urlopen` raises it.
        ValueError: If it is not a URL, or leads to something that is none.
        http.client.HTTPException: Likewise, or if the answer is not HTTP.
    """
    return _opener().open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)


class _PacedFile(io.RawIOBase):
    """What a socket receives."""

    def __init__(self, received: io.RawIOBase, sock: socket.socket) -> None:
        self._file = received
        self._socket = sock
        self._begin_block()

    def _begin_block(self) -> None:
        self._missing = BLOCK
        self._seconds = BLOCK / _LOWEST_RATE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._seconds <= 0:
            raise TimeoutError(f"slower than {_LOWEST_RATE} bytes per second")
        self._socket.settimeout(min(_TIMEOUT, self._seconds))
        began = time.monotonic()
        count = self._file.readinto(buffer)
        self._seconds -= time.monotonic() - began  # the time that the reader takes is its own
        self._missing -= count or 0
        if self._missing <= 0:
            self._begin_block()
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedFile(self.fp.detach(), sock))


class _Connection(http.client.HTTPConnection):
    response_class = _PacedResponse


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _PacedResponse


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, request)


def _opener() -> urllib.request.OpenerDirector:
    """Like that of urllib, for http and https alone: a redirection may lead elsewhere."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _Handler(),
        _SecureHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
