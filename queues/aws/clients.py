"""Share between the clients of SQS and SNS: the boto3 session, timeouts and retries, the meaning of AWS's errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast
from xml.etree.ElementTree import ParseError

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from queues.aws.failures import departures, error_codes
from queues.aws.failures.error_codes import is_about_credentials as is_about_credentials
from queues.aws.failures.meanings import Meaning
from queues.errors import QueueMissing, QueueUnavailable

# Our own code for an answer that AWS never gives: it comes from a proxy, or is a network's sign-in page. Reading it, or
# the SDK before us, raises any of these.
UNREADABLE = "UnreadableAnswer"
ODD = (AttributeError, LookupError, ParseError, ResponseParserError, TypeError, ValueError)
# The SDK's name for any trouble with getting credentials.
NO_CREDENTIALS = "CredentialRetrievalError"
# Whatever a call to AWS may raise: RuntimeError and OSError come from what gives out credentials.
FAILURES = (ClientError, BotoCoreError, OSError, RuntimeError, *ODD)


class Unreadable(ValueError):
    """An answer has a form that AWS never gives; the text says what is wrong with it and quotes nothing of it."""


Make = TypeVar("Make", bound=Callable[..., Any])

_caches: list[Any] = []


def remembered(make: Make) -> Make:
    """Cache the function's results until ``forget_clients`` is called."""
    cached = cache(make)
    _caches.append(cached)
    return cast("Make", cached)


# A cache does not lock, and a session makes one client at a time: without this, each thread of a consumer would make
# clients of its own, for a second and some MB each. Whoever makes or looks up a client holds it.
making = threading.RLock()


@remembered
def session() -> boto3.session.Session:
    """Return the one session for all clients of SQS, SNS and SES: each session loads some 7 MB of descriptions anew."""
    return boto3.session.Session()


def forget_clients() -> None:
    """Drop all clients, so that the next call reads credentials anew: a client keeps those that it found."""
    for cached in _caches:
        cached.cache_clear()


def is_not_aws(code: str) -> bool:
    """True if something else than AWS answered: AWS names each error, others give the SDK only a status."""
    return code == UNREADABLE or (code.isdigit() and code < "500")


def config(*, hurried: bool) -> Config:
    """Return timeouts and retries for a client; ``hurried`` means one try of at most three seconds."""
    if hurried:
        return Config(
            connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1, "mode": "standard"}
        )
    return Config(
        connect_timeout=3,
        read_timeout=settings.QUEUE_WAIT_SECONDS + 10,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=256,
    )


def described(exc: Exception, before: BaseException | None = None) -> tuple[str, str]:
    """Return the code and the text of a failure, as AWS gave them or, without an answer of AWS, in our own words.

    ``before`` is the error that was being handled when the call began, if any.
    """
    code, text = _described(exc)
    if departures.is_about_credentials(exc, before) and not is_about_credentials(code):
        # The SDK asked somebody else for credentials. What we asked for was never sent.
        return NO_CREDENTIALS, f"{code}: {text}"
    return code, text


@contextmanager
def translated(name: str, *, kind: str) -> Iterator[None]:
    """Turn failures of a call, or of reading its answer, into QueueMissing or QueueUnavailable.

    ``kind`` is what is asked for, such as "queue" or "topic". A failure to get credentials counts as well.
    """
    try:
        yield
    except FAILURES as exc:
        code, text = described(exc)
        if isinstance(exc, ClientError) and error_codes.meaning(code) is Meaning.MISSING:
            raise QueueMissing(
                f"there is no {kind} {name}; run: manage.py provision", code=code
            ) from exc
        if is_about_credentials(code):
            # Somebody may have renewed them: read them again, because nobody restarts this process for it.
            forget_clients()
        named = f"{code}: {text}" if isinstance(exc, ClientError) else text
        raise QueueUnavailable(f"{name}: {named}", code=code) from exc


def _described(exc: Exception) -> tuple[str, str]:
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        code, text = str(error.get("Code", "")), str(error.get("Message", exc))
        # RFC 9110, 15.6.2. Some emulators name it InternalFailure.
        is_lacking = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 501
        return "NotImplemented" if is_lacking else code, text
    if isinstance(exc, ODD) and not isinstance(exc, (BotoCoreError, OSError)):
        why = str(exc) if isinstance(exc, (ResponseParserError, Unreadable)) else type(exc).__name__
        return UNREADABLE, f"the answer cannot be read ({why})"
    return type(exc).__name__, str(exc)
