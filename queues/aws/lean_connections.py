"""Speak HTTP/1.1 over connections that are kept open, with no more work than AWS's answers need.

All errors are botocore's. An error while connecting means that no byte of the request has left; after any later error
the request may or may not have arrived.

Source: RFC 9112.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import BufferedReader
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path

# The server may close a connection that was idle for longer just as a request leaves, and then nobody knows whether the
# request arrived.
IDLE_SECONDS = 5.0
# The limits of http.client; AWS never answers with more.
MAX_LINE = 65_536
MAX_HEADERS = 100


class Response(NamedTuple):
    """An HTTP response; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes
    is_last: bool


class Connections:
    """Open connections to one endpoint; safe to share between threads.

    The connection used last is used next, so that the others grow old and are closed. ``config`` gives
    ``connect_timeout``, ``read_timeout`` and ``max_pool_connections``. ``ca_bundle`` is the file of the certificates to
    trust; True for the bundle that botocore takes.
    """

    def __init__(
        self,
        endpoint: str,
        config: Any,
        idle_seconds: float,
        *,
        ca_bundle: str | bool = True,
        socket_options: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        self._endpoint = endpoint
        self._config = config
        self._idle_seconds = idle_seconds
        self._open = _opener(endpoint, timeout=config.connect_timeout, ca_bundle=ca_bundle)
        self._socket_options = socket_options
        self._idle: deque[tuple[float, _Connection]] = deque()
        weakref.finalize(self, _close, self._idle)

    def exchange(self, request: bytes) -> Response:
        """Send the request once and return the response, whatever its status."""
        return self.begin(request).response()

    def begin(self, request: bytes) -> Exchange:
        """Send the request once; the caller asks what is returned for the response, or gives it up."""
        exchange = Exchange(self, self._take())
        try:
            exchange.connection.send(request)
        except BaseException as exc:
            exchange.failed(exc)
        return exchange

    @property
    def read_timeout(self) -> float:
        """How long to wait for the next part of a response, in seconds."""
        return float(self._config.read_timeout)

    @property
    def endpoint(self) -> str:
        """The URL that requests go to."""
        return self._endpoint

    def keep(self, connection: _Connection) -> None:
        """Keep a connection for the next request; the caller's exchange is over."""
        if len(self._idle) < self._config.max_pool_connections:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()

    def _take(self) -> _Connection:
        """Return an open connection that, as far as can be seen, the server has not closed."""
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < self._idle_seconds and connection.is_quiet():
                return connection
            connection.close()
        return self._connected()

    def _connected(self) -> _Connection:
        opened = self._open()
        try:
            opened.connect()
        except ssl.SSLError as exc:
            opened.close()
            raise SSLError(endpoint_url=self._endpoint, error=exc) from exc
        except TimeoutError as exc:
            raise ConnectTimeoutError(endpoint_url=self._endpoint, error=exc) from exc
        except (OSError, UnicodeError) as exc:
            raise EndpointConnectionError(endpoint_url=self._endpoint, error=exc) from exc
        for option in self._socket_options:
            opened.sock.setsockopt(*option)
        opened.sock.settimeout(self._config.read_timeout)
        return _Connection(opened.sock)


class Exchange:
    """One request that was sent; nobody knows what became of it until there is a response."""

    def __init__(self, connections: Connections, connection: _Connection) -> None:
        self.connection = connection
        self._connections = connections

    def fileno(self) -> int:
        """Return the descriptor that turns readable when the response comes."""
        return self.connection.fileno()

    def has_begun(self) -> bool:
        """Return True if a part of the response is here: records of TLS alone make its descriptor readable, too."""
        return self.connection.has_begun()

    def response(self) -> Response:
        """Wait for the response and return it, whatever its status."""
        try:
            response = self.connection.response()
        except BaseException as exc:
            self.failed(exc)
        if response.is_last:
            self.connection.close()
        else:
            self._connections.keep(self.connection)
        return response

    def give_up(self) -> ReadTimeoutError:
        """Close the connection, because the response took too long; returns the error that says so."""
        self.connection.close()
        return ReadTimeoutError(endpoint_url=self._connections.endpoint)

    def failed(self, exc: BaseException) -> NoReturn:
        """Close the connection, and raise an error of the network as botocore's, any other as it is."""
        self.connection.close()
        endpoint = self._connections.endpoint
        if isinstance(exc, TimeoutError):
            raise ReadTimeoutError(endpoint_url=endpoint, error=exc) from exc
        if isinstance(exc, OSError | HTTPException):
            raise ConnectionClosedError(endpoint_url=endpoint, error=exc) from exc
        raise exc


class _Connection:
    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._incoming = connected.makefile("rb")
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)

    def response(self) -> Response:
        return _read(self._incoming)

    def has_begun(self) -> bool:
        if not isinstance(self._socket, ssl.SSLSocket):
            return True
        seconds = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            self._incoming.peek(1)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            # Whoever reads the response meets it again.
            return True
        finally:
            self._socket.settimeout(seconds)
        return True

    def is_quiet(self) -> bool:
        """True if the server has neither sent anything unasked nor closed the connection."""
        return not self._poll.poll(0)

    def close(self) -> None:
        self._incoming.close()
        self._socket.close()


def _read(incoming: BufferedReader) -> Response:
    lines = _head(incoming)
    version, _, rest = next(lines, "").partition(" ")
    status = rest[:3]
    if not (version.startswith("HTTP/1.") and status.isdecimal()):
        raise HTTPException("not an HTTP/1 answer")
    headers = _headers(lines)
    is_last = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        content = _chunks(incoming)
    elif (length := headers.get("content-length")) is not None:
        content = _exactly(incoming, _number(length, base=10))
    else:
        content, is_last = incoming.read(), True
    return Response(int(status), headers, content, is_last)


def _head(incoming: BufferedReader) -> Iterator[str]:
    """Return the lines of a head, which mostly comes whole: line by line it takes twice the time."""
    head, end, _ = incoming.peek(1).partition(b"\r\n\r\n")
    if not end or head.count(b"\n") > head.count(b"\r\n"):
        return _lines(incoming)
    incoming.read(len(head) + len(end))
    return iter(head.decode("latin-1").split("\r\n"))


def _lines(incoming: BufferedReader) -> Iterator[str]:
    while line := _line(incoming):
        yield line


def _headers(lines: Iterator[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
        if len(headers) > MAX_HEADERS:
            raise HTTPException("too many headers")
    return headers


def _chunks(incoming: BufferedReader) -> bytes:
    chunks = []
    while size := _number(_line(incoming).partition(";")[0], base=16):
        chunks.append(_exactly(incoming, size))
        _line(incoming)
    _headers(_lines(incoming))
    return b"".join(chunks)


def _line(incoming: BufferedReader) -> str:
    line = incoming.readline(MAX_LINE)
    if not line.endswith(b"\n"):
        raise HTTPException("the answer ends early")
    return line.rstrip(b"\r\n").decode("latin-1")


def _exactly(incoming: BufferedReader, size: int) -> bytes:
    content = incoming.read(size)
    if len(content) < size:
        raise HTTPException("the answer ends early")
    return content


def _number(text: str, *, base: int) -> int:
    try:
        return int(text, base)
    except ValueError as exc:
        raise HTTPException("a length is not a number") from exc


def _opener(endpoint: str, *, timeout: float, ca_bundle: str | bool) -> partial[HTTPConnection]:
    """Return a function that makes connections and checks certificates as boto3 does."""
    where = urlsplit(endpoint)
    if where.scheme == "http":
        return partial(HTTPConnection, where.hostname or "", where.port, timeout=timeout)
    context = ssl.create_default_context(cafile=get_cert_path(ca_bundle))  # type: ignore[arg-type]  # it takes a path too
    # From Python 3.13 on the default; boto3 trusts a company's own authority without these formalities.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return partial(
        HTTPSConnection, where.hostname or "", where.port, timeout=timeout, context=context
    )


def _close(idle: deque[tuple[float, _Connection]]) -> None:
    while idle:
        idle.pop()[1].close()
