"""What the clients of SQS and SNS share: the session, their patience, and what AWS's errors mean here."""

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
# What AWS says to keys that it does not take (any more), and the SDK where it finds none.
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

# What the SDK says where no request got through, or no answer back.
_AWAY = {
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "HTTPClientError",
    "ProxyConnectionError",
    "ReadTimeoutError",
    "SSLError",
}
# Our own code for an answer that AWS does not give: of a proxy, or a page to sign in to a network. The SDK tells of it
# by whatever Python stumbles over.
UNREADABLE = "UnreadableAnswer"
STUMBLES = (AttributeError, KeyError, TypeError, ValueError)

Make = TypeVar("Make", bound=Callable[..., Any])

_caches: list[Any] = []


def remembered(make: Make) -> Make:
    """A cache that ``forget_clients`` empties."""
    cached = cache(make)
    _caches.append(cached)
    return cast("Make", cached)


@remembered
def session() -> boto3.session.Session:
    """One for all clients: each session loads a service's description anew, some 8 MB."""
    return boto3.session.Session()


def forget_clients() -> None:
    """The next call reads the SDK's credentials anew: those that a client found, it keeps."""
    for cached in _caches:
        cached.cache_clear()


def is_about_credentials(code: str) -> bool:
    """Whether an error of this code says that AWS does not take our credentials, or that there are none."""
    return code in _BAD_CREDENTIALS


def is_away(code: str) -> bool:
    """Whether an error of this code says that AWS was not reached, or did not answer."""
    return code in _AWAY


def is_not_aws(code: str) -> bool:
    """Whether somebody else answered: AWS gives each error a name, where others leave the SDK a status alone."""
    return code == UNREADABLE or (code.isdigit() and code < "500")


def unreadable(exc: Exception) -> str:
    """What to say of one of the STUMBLES."""
    return f"the answer cannot be read ({type(exc).__name__})"


def config(*, hurried: bool) -> Config:
    """How long to wait for AWS, and how often to ask; ``hurried``: once, for three seconds."""
    if hurried:
        return Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return Config(
        connect_timeout=3,
        read_timeout=settings.QUEUE_WAIT_SECONDS + 10,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=64,
    )


def described(exc: ClientError) -> tuple[str, str]:
    """Code and text of an error, as AWS gave them."""
    error = exc.response.get("Error", {})
    return error.get("Code", ""), error.get("Message", str(exc))


@contextmanager
def translated(name: str, *, kind: str) -> Iterator[None]:
    """Botocore's errors end here; ``kind`` is what the name is of: a queue, a topic."""
    try:
        yield
    except ClientError as exc:
        code, text = described(exc)
        if code in _MISSING:
            raise QueueMissing(
                f"there is no {kind} {name}; run: manage.py provision", code=code
            ) from exc
        raise _unavailable(code, f"{name}: {code}: {text}") from exc
    except (BotoCoreError, ResponseParserError) as exc:
        raise _unavailable(type(exc).__name__, f"{name}: {exc}") from exc
    except STUMBLES as exc:
        raise _unavailable(UNREADABLE, f"{name}: {unreadable(exc)}") from exc


def _unavailable(code: str, reason: str) -> QueueUnavailable:
    if is_about_credentials(code):
        # Somebody may have renewed the file that they are in, and nobody restarts us for it.
        forget_clients()
    return QueueUnavailable(reason, code=code)
