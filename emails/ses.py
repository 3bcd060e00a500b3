"""Amazon SES: where this app meets botocore and django-ses.

Sources: SES developer guide, "Amazon SES API error codes" and "Managing your sending quotas"; django-ses 4.8.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parseaddr
from functools import cache
from traceback import walk_tb
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
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

from emails import default_sender, ses_lean
from emails.errors import (
    InDoubt,
    NotSent,
    Refused,
    SendError,
    Throttled,
    Unavailable,
    Unwritable,
)
from queues import lean_connections, tracing
from queues.aws_clients import STUMBLES, UNREADABLE, unreadable

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
# No request left this machine.
_NEVER_LEFT = (
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
)
# Their names, as failures record them.
NEVER_LEFT = {error.__name__ for error in (*_NEVER_LEFT, SSLError)}
# SES will not take this message, whenever it is asked.
_FINAL = {
    "MessageRejected",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "BadRequestException",
    "ValidationError",
}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException"}
_ACCOUNT = {
    "AccountSendingPaused",
    "AccountSendingPausedException",
    "AccountSuspendedException",
    "ConfigurationSetSendingPaused",
    "ConfigurationSetSendingPausedException",
    "SendingPausedException",
}
_CONFIGURATION = {
    "AccessDenied",
    "AccessDeniedException",
    "ConfigurationSetDoesNotExist",
    "ConfigurationSetDoesNotExistException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MailFromDomainNotVerified",
    "MailFromDomainNotVerifiedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotFoundException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
_CONFIGURATION |= {error.__name__ for error in _NO_CREDENTIALS}
_NOT_VERIFIED = re.compile(r"not verified|failed the check", re.IGNORECASE)
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
        raise _classified(exc, sender=message.from_email) from exc
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
        raise _classified(exc) from exc
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
        raise _classified(exc) from exc
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
        raise _classified(exc) from exc
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
        raise _classified(exc) from exc
    found = answer["VerificationAttributes"].values()
    return any(attributes["VerificationStatus"] == "Success" for attributes in found)


def covering(address: str) -> list[str]:
    """The identities of which any, verified, lets SES send from an address: itself, its domain, those above that."""
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    return [address, *(".".join(labels[start:]) for start in range(max(1, len(labels) - 1)))]


def describe(exc: Exception) -> tuple[str, str]:
    """The code and the text of an error, as AWS gave them, or in words of ours."""
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        return error.get("Code", "ClientError"), error.get("Message", str(exc))
    if isinstance(exc, STUMBLES) and not isinstance(exc, OSError):
        return UNREADABLE, unreadable(exc)
    return type(exc).__name__, str(exc)


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


def _lean(backend: SESBackend, endpoint: str | None, region: str) -> ses_lean.LeanClient | None:
    """None where only boto3 gets through."""
    # Both versions of the API have the same one, and boto3 knows it.
    endpoint = endpoint or api().meta.endpoint_url
    if not lean_connections.reaches(endpoint):
        logger.warning("SES is behind a proxy: boto3's client is used")
        return None
    credentials = backend.create_session().get_credentials()
    return ses_lean.LeanClient(
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


def _classified(exc: Exception, *, sender: str = "") -> SendError:
    """Which errors say that nothing was sent, and whose trouble they are."""
    code, text = describe(exc)
    if isinstance(exc, _NO_CREDENTIALS):
        return Unavailable(text, code=code, breaker="configuration")
    if isinstance(exc, ParamValidationError):
        return Refused(text, code=code)
    if isinstance(exc, _NEVER_LEFT) or (isinstance(exc, SSLError) and _while_connecting(exc)):
        return NotSent(text, code=code)
    if not isinstance(exc, ClientError):
        return InDoubt(text, code=code)
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return answered(code, text, status, sender=sender)


def _while_connecting(exc: BaseException | None) -> bool:
    """Where it was raised says it: TLS may also break when the request has left, and the error is the same."""
    while exc is not None:
        if any(frame.f_code.co_name == "connect" for frame, _ in walk_tb(exc.__traceback__)):
            return True
        exc = exc.__context__
    return False


def answered(code: str, text: str, status: int, *, sender: str) -> SendError:
    """What an error means that SES answered with; both limits share one code, so the text must be read.

    ``sender`` is the From of the email.
    """
    if "Daily message quota exceeded" in text or code == "LimitExceededException":
        return Unavailable(text, code=code, breaker="quota")
    if code in _THROTTLED:
        return Throttled(text, code=code)
    if code in _ACCOUNT:
        return Unavailable(text, code=code, breaker="account")
    if code in _CONFIGURATION or (names_unverified(text) and names_sender(text, sender)):
        return Unavailable(text, code=code, breaker="configuration")
    if status >= 500:
        return InDoubt(text, code=code)
    if code in _FINAL and not names_unverified(text):
        return Refused(text, code=code)
    return NotSent(text, code=code)


def names_unverified(text: str) -> bool:
    """Whether SES says that an identity is not verified."""
    return bool(_NOT_VERIFIED.search(text))


def names_sender(text: str, sender: str) -> bool:
    """Whether SES names the address of this From."""
    address = parseaddr(sender)[1].lower()
    identities = re.findall(r"[^\s,:<>]+@[^\s,:<>]+", text.lower())
    return address in identities
