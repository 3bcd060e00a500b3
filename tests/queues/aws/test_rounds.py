import socket
import time

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from queues.aws.lean_connections import Connections, Response
from queues.aws.lean_rounds import Planned, Round
from tests.support.aws.scripted_server import (
    ScriptedServer,
    certified,
    cut,
    said,
    silent,
    torn,
    written,
)

CHUNKED = b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """TLS for a server, and the certificate to trust."""
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def server(request, tls):
    server = ScriptedServer(tls[0] if request.param == "https" else None)
    server.answer = said(200, b"fine")
    yield server
    server.stop()


@pytest.fixture
def connections(tls):
    def make(url, *, seconds=0.5):
        config = Config(connect_timeout=seconds, read_timeout=seconds, max_pool_connections=64)
        return Connections(url, config, 5.0, ca_bundle=str(tls[1]))

    return make


def planned(word, *, late=0.0, is_fit=True):
    request = f"POST / HTTP/1.1\r\ncontent-length: {len(word)}\r\n\r\n{word}"
    return Planned(request.encode(), time.monotonic() + late, lambda: is_fit)


def contents(results):
    return [one.content if isinstance(one, Response) else type(one) for one in results]


def words(server):
    return [request.rpartition(b"\r\n\r\n")[2].decode() for request in server.requests]


def test_requests_are_under_way_together_and_each_gets_its_own_answer(server, connections):
    def answer(connection):
        # Nobody is answered before all have asked.
        while len(server.requests) < 3:
            time.sleep(0.001)
        said(200, b"fine")(connection)

    server.answer = answer
    server.answers = {"two": [written(CHUNKED)]}

    results = Round(
        connections(server.url, seconds=5), [*map(planned, ("one", "two", "six"))]
    ).run()

    assert contents(results) == [b"fine", b"abcde", b"fine"]
    assert sorted(words(server)) == ["one", "six", "two"]


def slowly(connection):
    """Answer byte by byte, each in a packet of its own."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"HTTP/1.1 200 -\r\nContent-Length: 4\r\n\r\nfine":
        connection.sendall(bytes([byte]))
        time.sleep(0.0005)


LONG = b"x-long: " + b"l" * 9_000 + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        slowly,
        written(b"HTTP/1.1 200 -\r\n" + LONG + b"Content-Length: 4\r\n\r\nfine"),
        written(b"HTTP/1.1 200 -\nContent-Length: 4\n\nfine"),
        written(b"HTTP/1.1 200 -\nContent-Length: 8\n\nfi\r\n\r\nne"),
        cut(b"HTTP/1.1 200 -\r\n\r\nfine"),
    ],
    ids=["byte by byte", "longer than a buffer", "line feeds", "empty lines behind", "to the end"],
)
def test_head_of_an_answer_is_read_however_it_comes(server, connections, answer):
    server.answers = {"one": [answer]}
    pool = connections(server.url, seconds=5)

    results = Round(pool, [planned("one")]).run() + Round(pool, [planned("two")]).run()

    assert [content.replace(b"\r\n", b"") for content in contents(results)] == [b"fine"] * 2


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\nx: y\r\n"], ids=["too many", "no end"])
def test_head_that_no_aws_sends_ends_the_call(server, connections, end):
    server.answer = cut(
        b"HTTP/1.1 200 -\r\n" + b"".join(b"%d: x\r\n" % n for n in range(101)) + end
    )

    results = Round(connections(server.url), [planned("one")]).run()

    assert contents(results) == [ConnectionClosedError]


def test_connections_are_kept_for_the_next_round(server, connections):
    pool = connections(server.url)
    for _ in range(3):
        Round(pool, [planned("one"), planned("two")]).run()

    assert server.connections == 2


def test_what_happens_to_one_request_happens_to_no_other(server, connections):
    server.answers = {
        "silent": [silent],
        "cut": [cut()],
        "half": [cut(b"HTTP/1.1 200 -\r\nContent-Length: 9\r\n\r\nabc")],
        "odd": [written(b"no answer of HTTP\r\n")],
        "refused": [said(400, b"no")],
    }
    asked = ["silent", "cut", "half", "odd", "refused", "good"]

    results = Round(connections(server.url), [*map(planned, asked)]).run()

    assert contents(results) == [
        ReadTimeoutError,
        ConnectionClosedError,
        ConnectionClosedError,
        ConnectionClosedError,
        b"no",
        b"fine",
    ]
    assert sorted(words(server)) == sorted(asked)


def test_request_leaves_when_it_is_due_while_others_are_under_way(server, connections):
    order = []

    def answer(connection):
        order.append(len(server.requests))
        said(200, b"fine")(connection)

    server.answer = answer
    calls = [planned("now"), planned("soon", late=0.2)]

    results = Round(connections(server.url), calls).run()

    assert contents(results) == [b"fine", b"fine"]
    assert words(server) == ["now", "soon"]
    assert order == [1, 2]


def test_request_that_is_not_fit_any_more_never_leaves(server, connections):
    results = Round(connections(server.url), [planned("no", is_fit=False), planned("yes")]).run()

    assert contents(results) == [type(None), b"fine"]
    assert words(server) == ["yes"]


def test_records_that_are_no_tls_end_one_request(tls, connections):
    server = ScriptedServer(tls[0])
    server.answer, server.answers = said(200, b"fine"), {"torn": [torn]}
    try:
        results = Round(connections(server.url), [planned("torn"), planned("good")]).run()
    finally:
        server.stop()

    assert contents(results) == [ConnectionClosedError, b"fine"]


def test_nobody_listens(server, connections):
    pool = connections(server.url)
    server.stop()

    results = Round(pool, [planned("one"), planned("two")]).run()

    assert contents(results) == [EndpointConnectionError, EndpointConnectionError]


def test_host_that_takes_no_connection_is_waited_for_once(monkeypatch, connections):
    tried = []

    def connect(self):
        tried.append(self)
        raise TimeoutError("timed out")

    monkeypatch.setattr("http.client.HTTPConnection.connect", connect)

    results = Round(connections("http://127.0.0.1:1"), [*map(planned, "abc")]).run()

    assert contents(results) == [ConnectTimeoutError] * 3
    assert len(tried) == 1
