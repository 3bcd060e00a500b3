"""Send signed requests to an AWS service at a fraction of the time that boto3 takes.

The lean clients of SQS and SES use it for the few calls that every message costs; credentials and exceptions are
botocore's. A call is one request: it is not repeated, and no redirect is followed.

Source: AWS General Reference, "Signature Version 4 signing process".
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
)
from botocore.handlers import add_recursion_detection_header
from botocore.parsers import ResponseParser, ResponseParserError

from queues.aws.failures import departures
from queues.aws.lean_connections import IDLE_SECONDS, Connections, Response
from queues.aws.lean_rounds import Planned, Round


@dataclass(frozen=True)
class Answer:
    """An answer of any status; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def error(self, parser: ResponseParser, operation: str) -> ClientError:
        """Return the answer as botocore's ClientError; raises ResponseParserError if botocore cannot read it."""
        answer = {"status_code": self.status, "headers": self.headers, "body": self.content}
        try:
            # The parser reads errors without a model of the service.
            return ClientError(parser.parse(answer, None), operation)  # type: ignore[arg-type]  # botocore takes None
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            raise self.unreadable() from exc

    def unreadable(self) -> ResponseParserError:
        """Make the error to raise for an answer that the service never gives."""
        return _unreadable(self.status, self.content)


def json_object(status: int, content: bytes) -> dict[str, Any]:
    """Read an answer's JSON object, empty for no content; raises ResponseParserError for anything else."""
    try:
        found = _loads(content or b"{}")
    except (ValueError, RecursionError) as exc:
        raise _unreadable(status, content) from exc
    if not isinstance(found, dict):
        raise _unreadable(status, content)
    return found


def _loads(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        # Python also reads lone surrogates, which a message may have, and other encodings.
        return json.loads(content)


def _unreadable(status: int, content: bytes) -> ResponseParserError:
    # What looks like JSON may hold messages, and so a customer's data.
    is_json = content.lstrip()[:1] in (b"{", b"[")
    shown = "broken JSON" if is_json else repr(content[:200])
    return ResponseParserError(f"status {status}, unreadable: {shown}")


@dataclass(frozen=True)
class Endpoint:
    """Where and how a service is called; ``queues.aws.lean_fit`` finds it out.

    ``config``, ``ca_bundle`` and ``socket_options`` are those of ``Connections``. With ``is_traced`` calls have the
    header by which Lambda finds functions that invoke themselves without end.
    """

    url: str
    region: str
    signing_name: str
    credentials: Credentials | None
    config: Any
    user_agent: str = ""
    is_traced: bool = False
    ca_bundle: str | bool = True
    socket_options: Sequence[tuple[int, int, int]] = ()


class Service:
    """One service at one endpoint; safe to share between threads."""

    def __init__(self, endpoint: Endpoint, idle_seconds: float = IDLE_SECONDS) -> None:
        where = urlsplit(endpoint.url)
        host = where.netloc.rpartition("@")[2]
        self._place = _Place(host, where.path, endpoint.region, endpoint.signing_name)
        self._credentials = endpoint.credentials
        self._agent = {"user-agent": endpoint.user_agent} if endpoint.user_agent else {}
        self._is_traced = endpoint.is_traced
        self._connections = Connections(
            endpoint.url,
            endpoint.config,
            idle_seconds,
            ca_bundle=endpoint.ca_bundle,
            socket_options=endpoint.socket_options,
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request with these headers, their names in lower case; raises what boto3's clients raise."""
        request = self.signed(body, headers)
        departures.leave()
        return _answer(self._connections.exchange(request))

    def post_many(self, planned: Sequence[Planned]) -> list[Answer | BotoCoreError | None]:
        """Send requests that ``signed`` made; returns for each the answer, the error, or None if it was not fit."""
        results = Round(self._connections, planned).run()
        return [_answer(one) if isinstance(one, Response) else one for one in results]

    def signed(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Return a whole request, signed now: it must leave within minutes."""
        keys = self._keys()
        head = _head(self._place, _now(int(time.time())), keys, tuple(headers.items()))
        request = sha256(head.to_sign + sha256(body).hexdigest().encode()).hexdigest()
        signature = hmac.digest(head.key, head.scope + request.encode(), "sha256").hex()
        unsigned = "".join(f"{name}: {value}\r\n" for name, value in self._unsigned().items())
        end = f"{signature}\r\n{unsigned}content-length: {len(body)}\r\n\r\n"
        return b"".join((head.text, end.encode(), body))

    def _unsigned(self) -> dict[str, str]:
        """Return the headers that botocore does not sign either."""
        if not self._is_traced:
            return self._agent
        headers = dict(self._agent)
        # It changes with each invocation.
        add_recursion_detection_header({"headers": headers})
        return headers

    def _keys(self) -> _Keys:
        if self._credentials is None:
            raise NoCredentialsError
        try:
            # Asked for each request: this call renews the credentials of a role.
            frozen = self._credentials.get_frozen_credentials()
        # Whatever gives out credentials may fail in any way; nothing has left yet.
        except Exception as exc:
            raise CredentialRetrievalError(
                provider=self._credentials.method, error_msg=str(exc)
            ) from exc
        return _Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token)


def _answer(response: Response) -> Answer:
    return Answer(response.status, response.headers, response.content)


class _Keys(NamedTuple):
    key: str
    secret: str
    token: str | None


class _Place(NamedTuple):
    host: str
    path: str
    region: str
    service: str


class _Head(NamedTuple):
    """What all requests of one second have in common: their first lines, and what their signatures begin with."""

    text: bytes
    to_sign: bytes
    scope: bytes
    key: bytes


@lru_cache(64)
def _head(place: _Place, now: str, keys: _Keys, headers: tuple[tuple[str, str], ...]) -> _Head:
    signed = {**dict(headers), "host": place.host, "x-amz-date": now}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = ";".join(sorted(signed))
    canonical = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    scope = f"{now[:8]}/{place.region}/{place.service}/aws4_request"
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names}, Signature="
    )
    return _Head(
        f"POST {place.path} HTTP/1.1\r\n{lines}authorization: {authorization}".encode(),
        f"POST\n{place.path}\n\n{canonical}\n{names}\n".encode(),
        f"AWS4-HMAC-SHA256\n{now}\n{scope}\n".encode(),
        _signing_key(keys.secret, scope),
    )


@lru_cache(8)
def _now(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(8)
def _signing_key(secret: str, scope: str) -> bytes:
    """Derive the signing key, which stays the same for a day."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
