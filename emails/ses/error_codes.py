"""Translate SES's errors: was the email sent, and is the message or our own set-up to blame?

An error that came before the request left, or while connecting, says that SES did not accept the email. After that only
SES's own answer says so: everything else, known or not, leaves the email in doubt.

Sources: SES developer guide, "Amazon SES email sending errors" and "Errors related to the sending quotas".
"""

from __future__ import annotations

import re
from email.utils import parseaddr

from botocore.exceptions import ClientError

from emails.errors import InDoubt, NotSent, Refused, SendError, Throttled, Unavailable, Unwritable
from queues import addresses
from queues.aws.clients import NO_CREDENTIALS, described
from queues.aws.failures import error_codes, sdk_errors
from queues.aws.failures.departures import Departure
from queues.aws.failures.meanings import Meaning, Row

# The models of SES in botocore: what each operation may answer.
V1 = "botocore/data/ses/2010-12-01"
V2 = "botocore/data/sesv2/2019-09-27"
API = "https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html"
V2_API = "https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html"
GUIDE = "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html"

M = Meaning
# What SES alone answers, or what means something else there; the others are in ``queues.aws.failures.error_codes``.
CODES = {
    "AccountSendingPaused": Row(M.STOPPED, API),
    "AccountSendingPausedException": Row(M.STOPPED, V1),
    "AccountSuspended": Row(M.STOPPED, GUIDE),
    "AccountSuspendedException": Row(M.STOPPED, V2),
    "ConfigurationSetSendingPaused": Row(M.STOPPED, API),
    "ConfigurationSetSendingPausedException": Row(M.STOPPED, V1),
    "SendingPausedException": Row(M.STOPPED, V2),
    "ConfigurationSetDoesNotExist": Row(M.MISSING, V1),
    "ConfigurationSetDoesNotExistException": Row(M.MISSING, V1),
    "EventDestinationDoesNotExist": Row(M.MISSING, V1),
    "MailFromDomainNotVerified": Row(M.SETUP, API),
    "MailFromDomainNotVerifiedException": Row(M.SETUP, V1),
    "InvalidCloudWatchDestination": Row(M.SETUP, V1),
    "InvalidConfigurationSet": Row(M.SETUP, V1),
    "InvalidFirehoseDestination": Row(M.SETUP, V1),
    "InvalidSNSDestination": Row(M.SETUP, V1),
    "AlreadyExistsException": Row(M.EXISTS, V2),
    "ConfigurationSetAlreadyExists": Row(M.EXISTS, V1),
    "EventDestinationAlreadyExists": Row(M.EXISTS, V1),
    "LimitExceeded": Row(M.QUOTA, V1),
    "LimitExceededException": Row(M.QUOTA, V2),
    "BadRequestException": Row(M.MESSAGE, V2),
    "InvalidNextTokenException": Row(M.MESSAGE, V2),
    "MessageRejected": Row(M.MESSAGE, V1),
    # Which parameter SES means is not told: somebody must look, and the email is kept until then.
    "ValidationException": Row(M.MOMENT, V2_API),
    "InvalidParameter": Row(M.MOMENT, V2_API),
    "ParameterValueInvalid": Row(M.MOMENT, V2_API),
    "ConcurrentModificationException": Row(M.MOMENT, V2),
}
# Trouble of ours, which stops all emails alike: the breaker that it opens.
_BREAKERS = {
    M.QUOTA: "quota",
    M.STOPPED: "account",
    M.CREDENTIALS: "configuration",
    M.CLOCK: "configuration",
    M.SUBSCRIPTION: "configuration",
    M.DENIED: "configuration",
    M.MISSING: "configuration",
    M.SETUP: "configuration",
}
# The names of errors with which no request has left, as failures record them.
NEVER_LEFT = {name for name, row in sdk_errors.ROWS.items() if row.meaning is M.UNREACHED} | {
    "SSLError"
}
_QUOTA = re.compile(r"daily (?:message|sending) quota exceeded", re.IGNORECASE)
_NOT_VERIFIED = re.compile(r"not verified|failed the check", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s,:<>]+@[^\s,:<>]+")
# SES names the same trouble by several codes, MessageRejected among them, and in other words each time.
_SENDER = r"(?:email sending|sending|accounts?|configuration set)"
_STOPPED = r"(?:paused?|suspended|suspension|disabled|deactivated|terminated|shut ?down)"
_IS_STOPPED = re.compile(
    rf"\b{_SENDER}\b[^.;]*\b{_STOPPED}\b|\b{_STOPPED}\b[^.;]*\b{_SENDER}\b", re.IGNORECASE
)
_OF_RECIPIENT = re.compile(r"recipient|mailbox", re.IGNORECASE)


def meaning(code: str) -> Meaning:
    """Return what a code says if SES answers with it, or the SDK raises an error of that name."""
    row = CODES.get(code)
    return row.meaning if row else error_codes.meaning(code)


def classified(exc: Exception, departure: Departure, *, sender: str = "") -> SendError:
    """Turn any error of a call to SES into ours, which says whether the email was sent and who is to blame."""
    if isinstance(exc, (Unwritable, UnicodeEncodeError)) and not departure.has_left:
        return Refused(str(exc), code=type(exc).__name__)
    code, text = described(exc, departure.before)
    if isinstance(exc, ClientError) and (departure.has_left or code != NO_CREDENTIALS):
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return answered(code, text, status, sender=sender)
    if not departure.has_left:
        return _kept_here(code, text)
    if sdk_errors.meaning(exc) is M.UNREACHED or departure.is_while_connecting(exc):
        return NotSent(text, code=code)
    return InDoubt(text, code=code)


def answered(code: str, text: str, status: int, *, sender: str) -> SendError:
    """Turn an error that SES answered with into ours; ``sender`` is the From of the email.

    Several troubles share one code, so we must read the text; that of a failed server is not SES's.
    """
    found = meaning(code)
    is_read = status < 500
    if (is_read or found is M.THROTTLED) and _QUOTA.search(text):
        found = M.QUOTA
    elif is_read and says_stopped(text):
        found = M.STOPPED
    elif is_read and found in (M.MESSAGE, M.MOMENT) and names_unverified(text):
        found = M.SETUP if names_sender(text, sender) else M.MOMENT
    if breaker := _BREAKERS.get(found):
        return Unavailable(text, code=code, breaker=breaker)
    if found is M.THROTTLED:
        return Throttled(text, code=code)
    # 408: what stands between us and SES gave up, and SES may have the email.
    if status >= 500 or status == 408:
        return InDoubt(text, code=code)
    return Refused(text, code=code) if found is M.MESSAGE else NotSent(text, code=code)


def says_stopped(text: str) -> bool:
    """Return True if SES says that it sends nothing for the account or for the configuration set."""
    if names_unverified(text) or _OF_RECIPIENT.search(text):
        return False
    return bool(_IS_STOPPED.search(_ADDRESS.sub("", text)))


def names_unverified(text: str) -> bool:
    """Return True if SES says that an identity is not verified."""
    return bool(_NOT_VERIFIED.search(text))


def names_sender(text: str, sender: str) -> bool:
    """Return True if SES's text names the address of this From."""
    address = addresses.key(parseaddr(sender)[1])
    return address in _ADDRESS.findall(text.lower())


def _kept_here(code: str, text: str) -> SendError:
    """Turn an error that came before the request left: nobody can have the email."""
    found = error_codes.meaning(code)
    if found in (M.UNREACHED, M.UNKNOWN):
        # Nothing but what gives out credentials was asked.
        return Unavailable(text, code=NO_CREDENTIALS, breaker="configuration")
    if breaker := _BREAKERS.get(found):
        return Unavailable(text, code=code, breaker=breaker)
    if found is M.MESSAGE:
        return Refused(text, code=code)
    return NotSent(text, code=code)
