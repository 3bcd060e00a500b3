"""HTTP/1.1 as far as the clients need it: one request after the other on connections that are kept."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from benchmarks.aws_stub.acceptances import Acceptances
from benchmarks.aws_stub.allowance import Allowance
from benchmarks.aws_stub.errors import AwsError, Cut
from benchmarks.aws_stub.faults import Faults
from benchmarks.aws_stub.ses import Ses
from benchmarks.aws_stub.sqs import Sqs

JSON, XML = "application/x-amz-json-1.0", "text/xml"


@dataclass(frozen=True)
class Request:
    """The parts of a request that an action needs."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Routes by what the SDK sends: SQS names its target in a header, SES has a path or posts a form.

    ``GET /control`` tells how things stand, ``POST /control`` sets probabilities of faults.
    """

    def __init__(
        self,
        faults: Faults,
        acceptances: Acceptances,
        *,
        allowance: Allowance,
        ses_seconds: tuple[float, float],
    ) -> None:
        self._faults = faults
        self._acceptances = acceptances
        self._allowance = allowance
        # By service and action, and for SQS by queue: "sqs ReceiveMessage notifier-orders".
        self._calls: Counter[str] = Counter()
        self._sqs = Sqs(faults)
        self._ses = Ses(faults, self._sqs, acceptances, allowance=allowance, seconds=ses_seconds)

    async def start(self, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        """Listen on 127.0.0.1, for HTTPS with ``tls``; 0 is any free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=2**20, ssl=tls)
        scheme = "https" if tls else "http"
        self._sqs.base = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    @property
    def address(self) -> str:
        """The endpoint, once it has started."""
        return self._sqs.base

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                status, kind, body = await self._answer(request, reader)
                writer.write(_head(status, kind, len(body)) + body)
                await writer.drain()
        except (Cut, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader
    ) -> tuple[int, str, bytes]:
        if request.path == "/control":
            return 200, JSON, json.dumps(self._control(request)).encode()
        target = request.headers.get("x-amz-target", "")
        if target.startswith("AmazonSQS."):
            return await self._answer_sqs(target.partition(".")[2], request, reader)
        if request.path == "/v2/email/outbound-emails":
            return await self._answer_ses_v2(json.loads(request.body))
        form = dict(parse_qsl(request.body.decode()))
        # Other actions of version 2 have paths of their own.
        self._calls[f"ses {form.get('Action', request.path)}"] += 1
        return await self._answer_ses(form)

    async def _answer_sqs(
        self, action: str, request: Request, reader: asyncio.StreamReader
    ) -> tuple[int, str, bytes]:
        parameters = json.loads(request.body)
        queue = str(parameters.get("QueueUrl") or parameters.get("QueueName") or "")
        self._calls[f"sqs {action} {queue.rsplit('/', 1)[-1]}"] += 1
        try:
            answer = await self._sqs.call(action, parameters, reader.at_eof)
        except AwsError as exc:
            error = {"__type": f"com.amazonaws.sqs#{exc.code}", "message": str(exc)}
            return exc.status, JSON, json.dumps(error).encode()
        return 200, JSON, json.dumps(answer).encode()

    async def _answer_ses(self, form: dict[str, str]) -> tuple[int, str, bytes]:
        action = form.get("Action", "")
        try:
            result = await self._ses.call(form)
        except AwsError as exc:
            error = f"<Code>{exc.code}</Code><Message>{escape(str(exc))}</Message>"
            body = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
            return exc.status, XML, body.encode()
        result = f"<{action}Result>{result}</{action}Result>"
        # django-ses reads the id of the request.
        metadata = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        return 200, XML, f"<{action}Response>{result}{metadata}</{action}Response>".encode()

    async def _answer_ses_v2(self, parameters: Any) -> tuple[int, str, bytes]:
        self._calls["ses SendEmail"] += 1
        try:
            message_id = await self._ses.send(parameters["Content"]["Raw"]["Data"])
        except AwsError as exc:
            error = {"__type": exc.code, "message": str(exc)}
            return exc.status, JSON, json.dumps(error).encode()
        return 200, JSON, json.dumps({"MessageId": message_id}).encode()

    def _control(self, request: Request) -> dict[str, Any]:
        if request.method == "POST":
            self._faults.set(json.loads(request.body))
            if not self._faults.rates["events_held"]:
                self._ses.release()
        return {
            "accepted": self._acceptances.count,
            "queues": {name: queue.depth for name, queue in self._sqs.queues.items()},
            "too_fast": self._allowance.refused,
            "rates": self._faults.rates,
            "faults": self._faults.counts,
            "calls": self._calls,
            "events": self._ses.events,
        }


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the caller hangs up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").splitlines()
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = first.split(" ", 2)
    return Request(method, path.partition("?")[0], headers, body)


def _head(status: int, kind: str, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
