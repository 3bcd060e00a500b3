"""Amazon SES: where this app meets botocore and django-ses.

Sources: SES developer guide, "Amazon SES API error codes" and "Managing your sending quotas"; django-ses 4.8.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from django.conf import settings
from django.core.mail import EmailMessage
from django_ses import SESBackend

from emails.errors import InDoubt, NotSent, Refused, SendError

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

# No request left this machine.
_NEVER_LEFT = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)
# SES will not take this message, whenever it is asked.
_FINAL = {
    "MessageRejected",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "BadRequestException",
    "ValidationError",
}
_NOT_VERIFIED = re.compile(r"not verified|failed the check", re.IGNORECASE)


def send(message: EmailMessage) -> str:
    """One call to SES through django-ses; returns SES's message id. Raises NotSent, Refused or InDoubt.

    Anything unknown that happens after the request may have left is InDoubt.
    """
    try:
        connection().send_messages([message])
    except ValueError as exc:
        # Django refuses a header with a newline, Python an address it cannot encode: before any call.
        raise Refused(str(exc), code=type(exc).__name__) from exc
    except (
        ClientError,
        BotoCoreError,
        HTTPClientError,
        ResponseParserError,
        ParseError,
        OSError,
    ) as exc:
        raise _classified(exc) from exc
    message_id = message.extra_headers.get("message_id", "")
    if not message_id:
        raise InDoubt("SES answered without a message id")
    return str(message_id)


def describe(exc: Exception) -> tuple[str, str]:
    """The code and the text of a botocore error, as AWS gave them."""
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        return error.get("Code", "ClientError"), error.get("Message", str(exc))
    return type(exc).__name__, str(exc)


def connection() -> SESBackend:
    """django-ses's backend with its one client, shared by all threads of this process."""
    return _connection(
        settings.AWS_SES_REGION_ENDPOINT_URL, settings.AWS_REGION, settings.USE_SES_V2
    )


def api() -> SESClient:
    """SES API version 1, for identities and set-up: every endpoint has it."""
    return _api(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def forget_clients() -> None:
    """Make clients anew: after new credentials, and between tests."""
    _connection.cache_clear()
    _api.cache_clear()


@cache
def _connection(endpoint: str | None, region: str, v2: bool) -> SESBackend:
    backend = SESBackend(aws_region_endpoint=endpoint, aws_region_name=region, use_ses_v2=v2)
    backend.open()
    return backend


@cache
def _api(endpoint: str | None, region: str) -> SESClient:
    return boto3.session.Session().client(
        "ses", region_name=region, endpoint_url=endpoint, config=settings.AWS_SES_CONFIG
    )


def _classified(exc: Exception) -> SendError:
    code, text = describe(exc)
    if isinstance(exc, ParamValidationError):
        return Refused(text, code=code)
    if isinstance(exc, _NEVER_LEFT):
        return NotSent(text, code=code)
    if not isinstance(exc, ClientError):
        return InDoubt(text, code=code)
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if status >= 500:
        return InDoubt(text, code=code)
    if code in _FINAL and not _NOT_VERIFIED.search(text):
        return Refused(text, code=code)
    return NotSent(text, code=code)
