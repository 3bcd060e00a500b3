"""A server that answers each request as a test says: what no AWS does on command."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[socket.socket], None]


class ScriptedServer:
    """Listens on this machine and keeps the requests that came, and how many connections."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.answer: Answer = said(200, {"MessageId": "ses-1"})
        # In its place for requests that hold a text, the first answers first.
        self.answers: dict[str, list[Answer]] = {}
        # Before TLS: False hangs up, so no handshake ends.
        self.greets = True
        self._tls = tls
        self._open: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        scheme, name = "https" if tls else "http", f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{name}:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Close the connections that are open."""
        for connection in self._open:
            _shut(connection)

    def stop(self) -> None:
        """Listen no longer."""
        _shut(self._listener)
        self._listener.close()
        self.hang_up()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(connection),
            self._greeted(connection) as greeted,
        ):
            while request := _read(greeted):
                self.requests.append(request)
                self._answer_to(request)(greeted)

    def _answer_to(self, request: bytes) -> Answer:
        for text, answers in self.answers.items():
            if text.encode() in request and answers:
                return answers.pop(0)
        return self.answer

    def _greeted(self, connection: socket.socket) -> socket.socket:
        if not self.greets:
            raise OSError("hangs up")
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


def said(status: int, content: Any, **headers: str) -> Answer:
    """A whole answer; what is no bytes is JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = {"Content-Length": str(len(body)), "x-amzn-RequestId": "request-1"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return written(f"HTTP/1.1 {status} -\r\n{head}\r\n".encode() + body)


def written(content: bytes) -> Answer:
    """Answer with these bytes and keep the connection open."""
    return lambda connection: connection.sendall(content)


def cut(content: bytes = b"") -> Answer:
    """Answer with these bytes and close the connection."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(content)
        _shut(connection)

    return answer


def torn(connection: socket.socket) -> None:
    """Bytes below TLS that are no TLS."""
    with socket.socket(fileno=socket.dup(connection.fileno())) as raw:
        raw.sendall(b"no record of TLS at all")


def silent(connection: socket.socket) -> None:
    """Answer nothing until the caller is gone."""
    connection.recv(1)


def certified(folder: Path, *, days: int = 1) -> tuple[ssl.SSLContext, Path]:
    """TLS for 127.0.0.1, with the certificate that a caller must trust; it ends after so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context, pem


def _read(connection: socket.socket) -> bytes:
    """One whole request; empty when the caller has hung up."""
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(65536)
        if not received:
            return b""
        request += received
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.splitlines()
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _shut(connection: socket.socket) -> None:
    # Below TLS, which would wait for the other side.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
