"""HTTP/1.1 as far as the SDKs need it, on a bare ``asyncio.Protocol``: streams would cost twice the time."""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import cast

from benchmarks.lean_aws import ses, sqs, sqs_query
from benchmarks.lean_aws.state import Aws, Json, Waiter

JSON_TYPE, XML_TYPE = b"application/x-amz-json-1.0", b"text/xml"
_TARGET, _LENGTH = b"\r\nx-amz-target:", b"\r\ncontent-length:"


class Connection(asyncio.Protocol):
    """One client's connection. A client sends its next request when the last one is answered."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._received = b""
        self._waiter: Waiter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go to."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A long poll of a caller that is gone must not be handed messages."""
        if self._waiter:
            self._waiter.withdraw()

    def data_received(self, data: bytes) -> None:
        """Serve the request once it is complete."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end]
        lowered = head.lower()
        if len(self._received) < end + 4 + int(_header(lowered, lowered, _LENGTH) or 0):
            return
        body, self._received = self._received[end + 4 :], b""
        try:
            self._serve(head, _header(head, lowered, _TARGET).decode(), body)
        except Exception:
            traceback.print_exc()
            self.answer(500, b"{}", JSON_TYPE)

    def answer(self, status: int, body: bytes, kind: bytes, *, seconds: float = 0.0) -> None:
        """Write the answer after so long."""
        self._waiter = None
        # django-ses reads the id of the request.
        head = b"HTTP/1.1 %d -\r\nContent-Type: %b\r\nContent-Length: %d\r\nx-amzn-RequestId: 1\r\n\r\n"
        answer = head % (status, kind, len(body)) + body
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _serve(self, head: bytes, target: str, body: bytes) -> None:
        if target:
            self._serve_sqs(target.partition(".")[2], json.loads(body or b"{}"))
            return
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/control"):
            answer = json.dumps(
                self._aws.control(json.loads(body)) if body else self._aws.standing()
            )
            self.answer(200, answer.encode(), JSON_TYPE)
        elif path.startswith("/v2/"):
            self.answer(
                *ses.version_2(self._aws, path, body), JSON_TYPE, seconds=self._aws.ses_seconds
            )
        elif sqs_query.VERSION in body:
            self._serve_sqs(*sqs_query.request(body), is_query=True)
        else:
            self.answer(*ses.version_1(self._aws, body), XML_TYPE, seconds=self._aws.ses_seconds)

    def _serve_sqs(self, action: str, request: Json, *, is_query: bool = False) -> None:
        self._aws.calls[f"sqs {action}"] += 1
        if action == "ReceiveMessage":
            hand_out = self._hand_out_xml if is_query else self._hand_out
            self._waiter = sqs.receive(self._aws, request, hand_out)
            return
        status, answer = sqs.call(self._aws, action, request)
        body = sqs_query.answer(action, answer) if is_query else json.dumps(answer).encode()
        kind = XML_TYPE if is_query else JSON_TYPE
        self.answer(status, body, kind, seconds=self._aws.sqs_seconds)

    def _hand_out(self, messages: list[bytes]) -> None:
        body = b'{"Messages":[%b]}' % b",".join(messages) if messages else b"{}"
        self.answer(200, body, JSON_TYPE, seconds=self._aws.sqs_seconds)

    def _hand_out_xml(self, messages: list[bytes]) -> None:
        self.answer(200, sqs_query.received(messages), XML_TYPE, seconds=self._aws.sqs_seconds)


def _header(head: bytes, lowered: bytes, name: bytes) -> bytes:
    start = lowered.find(name)
    if start < 0:
        return b""
    end = lowered.find(b"\r\n", start + 2)
    return head[start + len(name) : end if end >= 0 else None].strip()
