"""A lean client for the one call that every email costs: SendEmail of SES API version 2.

It stands where boto3's client stands in django-ses's backend, and takes a fifth of its time. Credentials, signature and
the reading of errors are botocore's, and so are the exceptions. A call is one request: nothing is sent again, no
redirect is followed. Errors while connecting say that nothing has left; all later ones leave it open.

Source: SES API reference version 2, SendEmail.
"""

from __future__ import annotations

import json
import ssl
import time
import weakref
from base64 import b64encode
from collections import deque
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError, RestJSONParser
from botocore.utils import get_environ_proxies
from urllib3.util import wait_for_read

# What has been idle for longer may be closed from the other side just when a request leaves: a doubt for nothing.
IDLE_SECONDS = 5.0

_Idle = deque[tuple[float, HTTPConnection]]


def reaches(endpoint: str) -> bool:
    """False behind a proxy: that is boto3's business."""
    return urlsplit(endpoint).scheme not in get_environ_proxies(endpoint)


class LeanClient:
    """``send_email`` of boto3's ``sesv2`` client; safe to share between threads."""

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        endpoint: str,
        region: str,
        config: Config,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._url = endpoint.rstrip("/") + "/v2/email/outbound-emails"
        self._path = urlsplit(self._url).path
        self._connections = _Connections(endpoint, config, idle_seconds)

    def send_email(self, **parameters: Any) -> dict[str, Any]:
        """The id under which SES accepted it; raises what boto3's client raises."""
        body = json.dumps(parameters, default=_base64).encode()
        return _answer(*self._exchange(body, self._signed(body)))

    def _signed(self, body: bytes) -> dict[str, str]:
        if self._credentials is None:
            raise NoCredentialsError
        try:
            # Asked each time: credentials of a role are renewed in here.
            credentials = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError, OSError) as exc:
            raise CredentialRetrievalError(
                provider=self._credentials.method, error_msg=str(exc)
            ) from exc
        headers = {"Content-Type": "application/json"}
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        SigV4Auth(credentials, "ses", self._region).add_auth(request)
        return dict(request.headers)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, Message, bytes]:
        connection = self._connections.take()
        kept = False
        try:
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            content = response.read()
            kept = not response.will_close
        except TimeoutError as exc:
            raise ReadTimeoutError(endpoint_url=self._url, error=exc) from exc
        except (OSError, HTTPException) as exc:
            raise ConnectionClosedError(endpoint_url=self._url, error=exc) from exc
        finally:
            if kept:
                self._connections.put_back(connection)
            else:
                connection.close()
        return response.status, response.headers, content


class _Connections:
    """Open connections to one endpoint; the last used is used next, so that the others grow old and go."""

    def __init__(self, endpoint: str, config: Any, idle_seconds: float) -> None:
        self._endpoint = endpoint
        self._config = config
        self._idle_seconds = idle_seconds
        self._open = _opener(endpoint, timeout=self._config.connect_timeout)
        self._idle: _Idle = deque()
        weakref.finalize(self, _close, self._idle)

    def take(self) -> HTTPConnection:
        """One that is open and, as far as can be seen, not closed from the other side."""
        while self._idle:
            since, connection = self._idle.pop()
            is_fresh = time.monotonic() - since < self._idle_seconds
            if is_fresh and not wait_for_read(connection.sock, 0):
                return connection
            connection.close()
        return self._connected()

    def put_back(self, connection: HTTPConnection) -> None:
        """For the next call."""
        if len(self._idle) < self._config.max_pool_connections:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()

    def _connected(self) -> HTTPConnection:
        connection = self._open()
        try:
            connection.connect()
        except ssl.SSLError as exc:
            connection.close()
            raise SSLError(endpoint_url=self._endpoint, error=exc) from exc
        except TimeoutError as exc:
            raise ConnectTimeoutError(endpoint_url=self._endpoint, error=exc) from exc
        except (OSError, UnicodeError) as exc:
            raise EndpointConnectionError(endpoint_url=self._endpoint, error=exc) from exc
        connection.sock.settimeout(self._config.read_timeout)
        # A request goes out on this connection or not at all.
        connection.auto_open = 0
        return connection


def _opener(endpoint: str, *, timeout: float) -> partial[HTTPConnection]:
    """Makes connections. Certificates are checked against those of AWS_CA_BUNDLE, or the ones botocore trusts."""
    where = urlsplit(endpoint)
    if where.scheme == "http":
        return partial(HTTPConnection, where.hostname or "", where.port, timeout=timeout)
    bundle = botocore.session.get_session().get_config_variable("ca_bundle")
    context = ssl.create_default_context(cafile=get_cert_path(bundle or True))
    return partial(
        HTTPSConnection, where.hostname or "", where.port, timeout=timeout, context=context
    )


def _close(idle: _Idle) -> None:
    while idle:
        idle.pop()[1].close()


def _answer(status: int, headers: Message, content: bytes) -> dict[str, Any]:
    """Anything but an id or an error that can be read is a ResponseParserError."""
    try:
        if status >= 301:
            answer = {"status_code": status, "headers": headers, "body": content}
            raise ClientError(_parsed(answer), "SendEmail")
        message_id = json.loads(content)["MessageId"]
        if not isinstance(message_id, str):
            raise TypeError("an id is text")
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise ResponseParserError(f"SES answered {status}, unreadable: {content[:200]!r}") from exc
    request_id = headers.get("x-amzn-RequestId", "")
    return {
        "MessageId": message_id,
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": status},
    }


def _parsed(answer: dict[str, Any]) -> Any:
    # Errors are read without the model of the service.
    return RestJSONParser().parse(answer, None)  # type: ignore[arg-type]  # botocore takes None


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
