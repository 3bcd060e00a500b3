"""Amazon SES: where this app meets botocore and django-ses.

Sources: SES API reference; django-ses 4.8. What its errors mean is in ``emails.ses.error_codes``.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.parsers import ResponseParserError
from django.conf import settings
from django.core.mail import EmailMessage
from django_ses import SESBackend

from emails.errors import InDoubt, NotSent, Refused, Unwritable
from emails.ses import default_sender, lean
from emails.ses.error_codes import classified, describe
from queues.aws import lean_connections
from queues.aws.clients import STUMBLES
from queues.events import tracing

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)

# What a call to SES may raise besides an error of our own.
_FOREIGN = (
    ClientError,
    BotoCoreError,
    HTTPClientError,
    ResponseParserError,
    ParseError,
    OSError,
)
# What a question may raise besides: a send asks django-ses, and knows its own.
_UNANSWERED = (*_FOREIGN, *STUMBLES)
_LACKING = {"InvalidAction", "UnknownOperationException", "UnsupportedOperation", "NotImplemented"}


@dataclass(frozen=True)
class Quota:
    """What SES allows, in recipients; ``max_24_hours`` is -1 where there is no limit."""

    max_rate: float
    max_24_hours: float
    sent_24_hours: float


def send(message: EmailMessage) -> str:
    """One call to SES through django-ses; returns SES's message id. Raises NotSent, Refused or InDoubt.

    Anything unknown that happens after the request may have left is InDoubt.
    """
    try:
        with tracing.span("SES SendEmail", kind="client"):
            connection().send_messages([message])
    except (Unwritable, UnicodeEncodeError) as exc:
        # A header with a newline, an address that Python cannot encode: before any call.
        raise Refused(str(exc), code=type(exc).__name__) from exc
    except (KeyError, ValueError) as exc:
        # An answer that cannot be read. django-ses looks for the message id in it first, and then for more.
        if not message.extra_headers.get("message_id"):
            raise InDoubt(
                f"the answer of SES cannot be read: {exc}", code=type(exc).__name__
            ) from exc
    except _FOREIGN as exc:
        raise classified(exc, sender=message.from_email) from exc
    message_id = message.extra_headers.get("message_id", "")
    if not message_id:
        raise InDoubt("SES answered without a message id")
    return str(message_id)


def prepare() -> None:
    """Make the client, the work of a second, before an email is due; what keeps it from being made, ``send`` tells."""
    with suppress(*_FOREIGN, KeyError, ValueError):
        connection()


def quota() -> Quota:
    """Ask SES; raises SendError."""
    try:
        found = api().get_send_quota()
    except _UNANSWERED as exc:
        raise classified(exc) from exc
    return Quota(found["MaxSendRate"], found["Max24HourSend"], found["SentLast24Hours"])


def require_quota() -> None:
    """Raise SendError while the quota of 24 hours is used up."""
    now = quota()
    if 0 <= now.max_24_hours <= now.sent_24_hours:
        raise NotSent(
            f"{now.sent_24_hours:.0f} of {now.max_24_hours:.0f} in 24 hours are sent", code="Quota"
        )


def require_sending_enabled() -> None:
    """Raise SendError while the account is paused; an endpoint that cannot say counts as healed."""
    try:
        enabled = api().get_account_sending_enabled()["Enabled"]
    except _UNANSWERED as exc:
        if describe(exc)[0] in _LACKING:
            return
        raise classified(exc) from exc
    if not enabled:
        raise NotSent("sending is paused for this account", code="AccountSendingPaused")


def require_configuration() -> None:
    """Raise SendError while credentials, sender or configuration set are not in order."""
    forget_clients()
    is_verified = sender_is_verified()
    try:
        if settings.SES_CONFIGURATION_SET:
            api().describe_configuration_set(ConfigurationSetName=settings.SES_CONFIGURATION_SET)
    except _UNANSWERED as exc:
        if describe(exc)[0] in _LACKING:
            return
        raise classified(exc) from exc
    if not is_verified:
        address = default_sender.address()
        raise NotSent(f"the sender {address} is not verified", code="SenderNotVerified")


def sender_is_verified() -> bool:
    """Whether SES sends from our address or domain; raises SendError. An endpoint that cannot say counts as yes."""
    names = covering(default_sender.address())
    try:
        answer = api().get_identity_verification_attributes(Identities=names)
    except _UNANSWERED as exc:
        if describe(exc)[0] in _LACKING:
            return True
        raise classified(exc) from exc
    found = answer["VerificationAttributes"].values()
    return any(attributes["VerificationStatus"] == "Success" for attributes in found)


def covering(address: str) -> list[str]:
    """The identities of which any, verified, lets SES send from an address: itself, its domain, those above that."""
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    return [address, *(".".join(labels[start:]) for start in range(max(1, len(labels) - 1)))]


def connection() -> SESBackend:
    """django-ses's backend with its one client, shared by all threads of this process."""
    with _making:
        return _connection(
            settings.AWS_SES_REGION_ENDPOINT_URL,
            settings.AWS_REGION,
            settings.USE_SES_V2,
            settings.SES_CLIENT,
        )


def api() -> SESClient:
    """SES API version 1, for identities and set-up: every endpoint has it."""
    with _making:
        return _api(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def api_v2() -> SESV2Client:
    """Version 2, for what the first does not tell."""
    with _making:
        return _api_v2(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def forget_clients() -> None:
    """Make clients anew: after new credentials, and between tests."""
    _connection.cache_clear()
    _session.cache_clear()
    _api.cache_clear()
    _api_v2.cache_clear()


# A cache does not lock: at the start of a consumer each of its threads would make a client, a second and some MB each.
_making = threading.RLock()


@cache
def _connection(endpoint: str | None, region: str, v2: bool, client: str) -> SESBackend:
    backend = SESBackend(aws_region_endpoint=endpoint, aws_region_name=region, use_ses_v2=v2)
    if client == "lean":
        backend.connection = _lean(backend, endpoint, region)
    backend.open()
    return backend


def _lean(backend: SESBackend, endpoint: str | None, region: str) -> lean.LeanClient | None:
    """None where only boto3 gets through."""
    # Both versions of the API have the same one, and boto3 knows it.
    endpoint = endpoint or api().meta.endpoint_url
    if not lean_connections.reaches(endpoint):
        logger.warning("SES is behind a proxy: boto3's client is used")
        return None
    credentials = backend.create_session().get_credentials()
    return lean.LeanClient(
        credentials, endpoint=endpoint, region=region, config=settings.AWS_SES_CONFIG
    )


@cache
def _session() -> boto3.session.Session:
    """Of both clients: what each session reads of AWS's endpoints and services are some MB."""
    return boto3.session.Session()


@cache
def _api(endpoint: str | None, region: str) -> SESClient:
    return _session().client(
        "ses", region_name=region, endpoint_url=endpoint, config=settings.AWS_SES_CONFIG
    )


@cache
def _api_v2(endpoint: str | None, region: str) -> SESV2Client:
    return _session().client(
        "sesv2", region_name=region, endpoint_url=endpoint, config=settings.AWS_SES_CONFIG
    )
