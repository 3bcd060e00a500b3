"""Call Amazon SES through botocore and django-ses.

Sources: SES API reference; django-ses 4.8. ``emails.ses.error_codes`` says what SES's errors mean.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.mail import EmailMessage
from django_ses import SESBackend

from emails.errors import InDoubt, NotSent, Refused, SendError
from emails.ses import default_sender, fields, lean
from emails.ses.error_codes import classified
from queues import addresses
from queues.aws import clients, lean_fit
from queues.aws.clients import FAILURES
from queues.aws.failures import departures
from queues.aws.failures.error_codes import is_about_credentials, is_lacking
from queues.events import tracing

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)

Made = TypeVar("Made", bound=Any)

# The most telling name of an event is told first, and a handler that answers it keeps the others from being told.
_LEAVING = ("before-send", "before-send.ses.SendRawEmail", "before-send.sesv2.SendEmail")


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
    with departures.watched() as departure:
        try:
            with tracing.span("SES SendEmail", kind="client"):
                backend = connection()
                if not departures.tells(backend.connection):
                    departures.leave()
                backend.send_messages([message])
        # Whatever it is: the email was accepted, may have been, or certainly was not, and the caller must know which.
        except Exception as exc:
            # django-ses looks for the message id first: if it found one, SES accepted the email.
            if not message.extra_headers.get("message_id"):
                raise unsent(exc, departure, sender=message.from_email) from exc
            logger.warning("the rest of SES's answer cannot be read: %s", type(exc).__name__)
    message_id = message.extra_headers.get("message_id", "")
    if not message_id and not departure.has_left:
        raise blacklisted()
    if not message_id:
        raise InDoubt("SES answered without a message id")
    return str(message_id)


def blacklisted() -> Refused:
    """Make the error for an email that django-ses left out, because of AWS_SES_USE_BLACKLIST."""
    return Refused("django-ses sent nothing: its blacklist has the address", code="Blacklist")


def prepare() -> None:
    """Make the client, which takes a second, before an email is due; errors are left to ``send``."""
    with suppress(*FAILURES):
        connection()


def quota() -> Quota:
    """Ask SES for the sending limits and their use; raises SendError."""
    with _asked():
        found = api().get_send_quota()
        return Quota(
            fields.number(found, "MaxSendRate"),
            fields.number(found, "Max24HourSend"),
            fields.number(found, "SentLast24Hours"),
        )


def require_quota() -> None:
    """Raise SendError while the 24-hour quota is used up."""
    now = quota()
    if 0 <= now.max_24_hours <= now.sent_24_hours:
        raise NotSent(
            f"{now.sent_24_hours:.0f} of {now.max_24_hours:.0f} emails allowed in 24 hours are sent",
            code="Quota",
        )


def require_sending_enabled() -> None:
    """Raise SendError while SES has paused the account or our configuration set.

    An endpoint that cannot say counts as not paused.
    """
    if not _told(_account_is_enabled):
        raise NotSent("SES has paused sending for this account", code="AccountSendingPaused")
    if not _told(_set_is_enabled):
        raise NotSent(
            f"SES has paused the configuration set {settings.SES_CONFIGURATION_SET}",
            code="ConfigurationSetSendingPaused",
        )


def require_configuration() -> None:
    """Raise SendError while credentials, sender or configuration set are not in order."""
    forget_clients()
    unverified = unverified_senders()
    _told(_set_is_there)
    if unverified:
        raise NotSent(
            f"the sender {' and '.join(unverified)} is not verified", code="SenderNotVerified"
        )


def sender_is_verified(address: str = "") -> bool:
    """Return True if SES has verified this address or its domain, or those of the default sender; raises SendError.

    An endpoint that cannot say counts as yes.
    """
    names = covering(address or default_sender.address())
    return _told(lambda: _any_verified(names))


def unverified_senders() -> list[str]:
    """Return the senders of our brands from which SES does not send; raises SendError."""
    senders = default_sender.addresses_in_force()
    return [address for address in senders if not sender_is_verified(address)]


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
    with clients.making:
        return _connection(
            settings.AWS_SES_REGION_ENDPOINT_URL,
            settings.AWS_REGION,
            settings.USE_SES_V2,
            settings.SES_CLIENT,
        )


def api() -> SESClient:
    """Return the client of SES API version 1, for identities and set-up: every endpoint has this version."""
    with clients.making:
        return _api(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def api_v2() -> SESV2Client:
    """Return the client of SES API version 2, for questions that version 1 cannot answer."""
    with clients.making:
        return _api_v2(settings.AWS_ENDPOINT_URL, settings.AWS_REGION)


def forget_clients() -> None:
    """Forget all clients, so that new ones are made: after new credentials, and between tests."""
    _connection.cache_clear()
    _api.cache_clear()
    _api_v2.cache_clear()
    # They share a session, which keeps its credentials.
    clients.forget_clients()


def unsent(exc: Exception, departure: departures.Departure, *, sender: str) -> SendError:
    """Return what an error of a call to send says of the email; credentials that fail are read anew next time."""
    error = classified(exc, departure, sender=sender)
    if is_about_credentials(error.code):
        # Somebody may have renewed them: the next email reads them again, in this process too.
        forget_clients()
    return error


@contextmanager
def _asked() -> Iterator[None]:
    """Turn whatever a question to SES, or reading its answer, raises into a SendError."""
    with departures.watched() as departure:
        try:
            yield
        except FAILURES as exc:
            raise classified(exc, departure) from exc


def _told(ask: Callable[[], bool]) -> bool:
    """Return SES's answer; True if this endpoint has not got the question. Raises SendError."""
    try:
        with _asked():
            return ask()
    except SendError as exc:
        if is_lacking(exc.code):
            return True
        raise


def _account_is_enabled() -> bool:
    return fields.flag(api().get_account_sending_enabled(), "Enabled")


def _set_is_there() -> bool:
    if settings.SES_CONFIGURATION_SET:
        api().describe_configuration_set(ConfigurationSetName=settings.SES_CONFIGURATION_SET)
    return True


def _set_is_enabled() -> bool:
    """Say whether our configuration set sends; where SES does not tell, the next email finds out."""
    if not settings.SES_CONFIGURATION_SET:
        return True
    try:
        found = api().describe_configuration_set(
            ConfigurationSetName=settings.SES_CONFIGURATION_SET,
            ConfigurationSetAttributeNames=["reputationOptions"],
        )
    except ClientError as exc:
        logger.info("SES does not tell whether the configuration set sends: %s", exc)
        return True
    return found.get("ReputationOptions", {}).get("SendingEnabled") is not False


def _any_verified(names: list[str]) -> bool:
    answer = api().get_identity_verification_attributes(Identities=names)
    found = answer["VerificationAttributes"].values()
    return any(attributes["VerificationStatus"] == "Success" for attributes in found)


class _Backend(SESBackend):  # type: ignore[misc]  # it has no types
    """django-ses's backend, whose client tells when a request leaves."""

    def create_session(self) -> boto3.session.Session:
        """Return the session of our other clients; one of its own where django-ses has settings for that."""
        own = (self._session_profile, self._access_key_id, self._access_key, self._session_token)
        made: boto3.session.Session = super().create_session() if any(own) else clients.session()
        return made

    def open(self) -> bool | None:
        """Make the client, unless there is one."""
        is_new: bool | None = super().open()
        if is_new is not False:
            _told_of_departures(self.connection)
        return is_new


def _told_of_departures(client: Made) -> Made:
    """Let this client of boto3 tell when a request leaves: right before the connection gets it."""
    for event in _LEAVING:
        client.meta.events.register_first(event, departures.leave)
    client.tells_departures = True
    return client


@cache
def _connection(endpoint: str | None, region: str, v2: bool, client: str) -> SESBackend:
    backend = _Backend(aws_region_endpoint=endpoint, aws_region_name=region, use_ses_v2=v2)
    backend.open()
    if v2 and client == "lean":
        backend.connection = _lean(backend)
    return backend


def _lean(backend: SESBackend) -> Any:
    """Return a lean client, or boto3's own where only that can send emails."""
    if backend._global_endpoint_id:
        lean_fit.say_once("SESv2", "AWS_SES_GLOBAL_ENDPOINT_ID is set")
        return backend.connection
    return lean.beside(backend.connection)


@cache
def _api(endpoint: str | None, region: str) -> SESClient:
    return _told_of_departures(
        clients.session().client(
            "ses", region_name=region, endpoint_url=endpoint, config=settings.AWS_SES_CONFIG
        )
    )


@cache
def _api_v2(endpoint: str | None, region: str) -> SESV2Client:
    return _told_of_departures(
        clients.session().client(
            "sesv2", region_name=region, endpoint_url=endpoint, config=settings.AWS_SES_CONFIG
        )
    )
