"""Call Amazon SES through botocore and django-ses.

Sources: SES API reference; django-ses 4.8. ``emails.ses.error_codes`` says what SES's errors mean.
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
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings
from django.core.mail import EmailMessage
from django_ses import SESBackend

from emails.errors import InDoubt, NotSent, Refused, Unwritable
from emails.ses import default_sender, lean
from emails.ses.error_codes import classified, describe
from queues import addresses
from queues.aws import lean_connections
from queues.aws.clients import STUMBLES
from queues.events import tracing

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)

# A call to SES may raise these, besides our own errors.
_FOREIGN = (
    ClientError,
    BotoCoreError,
    ResponseParserError,
    ParseError,
    OSError,
)
# A question to SES may also raise these, if botocore cannot read the answer. ``send`` handles them itself, because
# django-ses may have read the message id before.
_UNANSWERED = (*_FOREIGN, *STUMBLES)
_LACKING = {"InvalidAction", "UnknownOperationException", "UnsupportedOperation", "NotImplemented"}


@dataclass(frozen=True)
class Quota:
    """The sending limits of the account, in recipients; ``max_24_hours`` is -1 if there is no limit."""

    max_rate: float
    max_24_hours: float
    sent_24_hours: float


def send(message: EmailMessage) -> str:
    """Send one email through django-ses and return SES's message id; raises NotSent, Refused or InDoubt.

    Every unknown error is InDoubt if the request may have left.
    """
    try:
        with tracing.span("SES SendEmail", kind="client"):
            connection().send_messages([message])
    except (Unwritable, UnicodeEncodeError) as exc:
        # A header has a newline, or Python cannot encode an address. SES was not called.
        raise Refused(str(exc), code=type(exc).__name__) from exc
    except (KeyError, ValueError) as exc:
        # The answer cannot be read. django-ses looks for the message id first: if it found one, SES accepted the email.
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
    """Make the client, which takes a second, before an email is due; errors are left to ``send``."""
    with suppress(*_FOREIGN, KeyError, ValueError):
        connection()


def quota() -> Quota:
    """Ask SES for the sending limits and their use; raises SendError."""
    try:
        found = api().get_send_quota()
    except _UNANSWERED as exc:
        raise classified(exc) from exc
    return Quota(found["MaxSendRate"], found["Max24HourSend"], found["SentLast24Hours"])


def require_quota() -> None:
    """Raise SendError while the 24-hour quota is used up."""
    now = quota()
    if 0 <= now.max_24_hours <= now.sent_24_hours:
        raise NotSent(
            f"{now.sent_24_hours:.0f} of {now.max_24_hours:.0f} emails allowed in 24 hours are sent",
            code="Quota",
        )


def require_sending_enabled() -> None:
    """Raise SendError while SES has paused the account; an endpoint that cannot say counts as not paused."""
    try:
        enabled = api().get_account_sending_enabled()["Enabled"]
    except _UNANSWERED as exc:
        if describe(exc)[0] in _LACKING:
            return
        raise classified(exc) from exc
    if not enabled:
        raise NotSent("SES has paused sending for this account", code="AccountSendingPaused")


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
    """Return True if SES has verified our sender's address or domain; raises SendError.

    An endpoint that cannot say counts as yes.
    """
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
    """Return the identities of which one must be verified to send from an address.

    They are the address itself, its domain, and the domains above it.
    """
    address = addresses.kept(address)
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    return [address, *(".".join(labels[start:]) for start in range(max(1, len(labels) - 1)))]


def connection() -> SESBackend:
    """Return django-ses's backend with its client; all threads of this process share it."""
    with _making:
        return _connection(
            settings.AWS_SES_REGION_ENDPOINT_URL,
            settings.AWS_REGION,
            settings.USE_SES_V2,
            settings.SES_CLIENT,
        )


def api() -> SESClient:
    """Return the client of SES API version 1, for identities and set-up: every endpoint has this version."""
    with _making:
        return _api(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def api_v2() -> SESV2Client:
    """Return the client of SES API version 2, for questions that version 1 cannot answer."""
    with _making:
        return _api_v2(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def forget_clients() -> None:
    """Forget all clients, so that new ones are made: after new credentials, and between tests."""
    _connection.cache_clear()
    _session.cache_clear()
    _api.cache_clear()
    _api_v2.cache_clear()


# ``cache`` does not lock: at a consumer's start each of its threads would make a client, for a second and some MB each.
_making = threading.RLock()


@cache
def _connection(endpoint: str | None, region: str, v2: bool, client: str) -> SESBackend:
    backend = SESBackend(aws_region_endpoint=endpoint, aws_region_name=region, use_ses_v2=v2)
    if client == "lean":
        backend.connection = _lean(backend, endpoint, region)
    backend.open()
    return backend


def _lean(backend: SESBackend, endpoint: str | None, region: str) -> lean.LeanClient | None:
    """Return our lean client; None if only boto3's client can pass a proxy."""
    # Both versions of the API have the same endpoint, and boto3 knows it.
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
    """Return the session that both clients share: each session holds some MB about AWS's endpoints and services."""
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
