"""Share between the clients of SQS and SNS: the boto3 session, timeouts and retries, the meaning of AWS's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from queues.errors import QueueMissing, QueueUnavailable

_MISSING = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "NotFound",
    "NotFoundException",
}
# AWS's codes for credentials that it rejects or that have expired, and the SDK's if it finds none.
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "CredentialRetrievalError",
    "NoCredentialsError",
    "PartialCredentialsError",
}

# The SDK's errors if the request did not get through, or no answer came back.
_AWAY = {
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "HTTPClientError",
    "ProxyConnectionError",
    "ReadTimeoutError",
    "SSLError",
}
# Our own code for an answer that AWS never gives: it comes from a proxy, or is a network's sign-in page. The SDK has no
# error for it and raises any of STUMBLES.
UNREADABLE = "UnreadableAnswer"
STUMBLES = (AttributeError, KeyError, TypeError, ValueError)


class Unreadable(ValueError):
    """An answer has a form that AWS never gives; the text says what is wrong with it and quotes nothing of it."""


Make = TypeVar("Make", bound=Callable[..., Any])

_caches: list[Any] = []


def remembered(make: Make) -> Make:
    """Cache the function's results until ``forget_clients`` is called."""
    cached = cache(make)
    _caches.append(cached)
    return cast("Make", cached)


@remembered
def session() -> boto3.session.Session:
    """Return the one session for all clients: each session would load a service's description anew, some 8 MB."""
    return boto3.session.Session()


def forget_clients() -> None:
    """Drop all clients, so that the next call reads credentials anew: a client keeps those that it found."""
    for cached in _caches:
        cached.cache_clear()


def is_about_credentials(code: str) -> bool:
    """True if this error code means that AWS rejects our credentials, or that there are none."""
    return code in _BAD_CREDENTIALS


def is_away(code: str) -> bool:
    """True if this error code means that AWS was not reached, or did not answer."""
    return code in _AWAY


def is_not_aws(code: str) -> bool:
    """True if something else than AWS answered: AWS names each error, others give the SDK only a status."""
    return code == UNREADABLE or (code.isdigit() and code < "500")


def unreadable(exc: Exception) -> str:
    """Describe one of the STUMBLES, the errors that the SDK raises for an answer it cannot read."""
    return (
        f"the answer cannot be read ({exc if isinstance(exc, Unreadable) else type(exc).__name__})"
    )


def config(*, hurried: bool) -> Config:
    """Return timeouts and retries for a client; ``hurried`` means one try of at most three seconds."""
    if hurried:
        return Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return Config(
        connect_timeout=3,
        read_timeout=settings.QUEUE_WAIT_SECONDS + 10,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=64,
    )


def described(exc: ClientError) -> tuple[str, str]:
    """Return an error's code and text as AWS gave them."""
    error = exc.response.get("Error", {})
    return error.get("Code", ""), error.get("Message", str(exc))


@contextmanager
def translated(name: str, *, kind: str) -> Iterator[None]:
    """Turn botocore's errors into QueueMissing or QueueUnavailable; ``kind`` is "queue" or "topic"."""
    try:
        yield
    except ClientError as exc:
        code, text = described(exc)
        if code in _MISSING:
            raise QueueMissing(
                f"there is no {kind} {name}; run: manage.py provision", code=code
            ) from exc
        raise _unavailable(code, f"{name}: {code}: {text}") from exc
    except BotoCoreError as exc:
        raise _unavailable(type(exc).__name__, f"{name}: {exc}") from exc
    except ResponseParserError as exc:
        raise _unavailable(UNREADABLE, f"{name}: {exc}") from exc
    except STUMBLES as exc:
        raise _unavailable(UNREADABLE, f"{name}: {unreadable(exc)}") from exc


def _unavailable(code: str, reason: str) -> QueueUnavailable:
    if is_about_credentials(code):
        # Somebody may have renewed the credentials file: read it again, because nobody restarts this process for it.
        forget_clients()
    return QueueUnavailable(reason, code=code)
