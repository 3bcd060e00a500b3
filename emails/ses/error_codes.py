"""Translate SES's errors: was the email sent, and is the message or our own set-up to blame?

Sources: SES developer guide, "Amazon SES API error codes" and "Managing your sending quotas".
"""

from __future__ import annotations

import re
from email.utils import parseaddr
from traceback import walk_tb

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from emails.errors import InDoubt, NotSent, Refused, SendError, Throttled, Unavailable
from queues import addresses
from queues.aws.clients import STUMBLES, UNREADABLE, unreadable

# With these errors no request has left this machine.
_NEVER_LEFT = (
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
)
# The names of these errors, as failures record them.
NEVER_LEFT = {error.__name__ for error in (*_NEVER_LEFT, SSLError)}
# SES will never accept this message, however often we ask.
_FINAL = {
    "MessageRejected",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "BadRequestException",
    "ValidationError",
}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException"}
# An endpoint without the operation answers with these codes.
LACKING = {"InvalidAction", "NotImplemented", "UnknownOperationException", "404", "500", "501"}
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


def describe(exc: Exception) -> tuple[str, str]:
    """Return the code and the text of an error, as AWS gave them or, without an answer, in our own words."""
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        return error.get("Code", "ClientError"), error.get("Message", str(exc))
    if isinstance(exc, STUMBLES) and not isinstance(exc, OSError):
        return UNREADABLE, unreadable(exc)
    return type(exc).__name__, str(exc)


def classified(exc: Exception, *, sender: str = "") -> SendError:
    """Turn an error of botocore into ours, which says whether the email was sent and who is to blame."""
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


def answered(code: str, text: str, status: int, *, sender: str) -> SendError:
    """Turn an error that SES answered with into ours; ``sender`` is the From of the email.

    The sending rate and the daily quota share one code, so we must read the text.
    """
    if "Daily message quota exceeded" in text or code == "LimitExceededException":
        return Unavailable(text, code=code, breaker="quota")
    if code in THROTTLED:
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
    """Return True if SES says that an identity is not verified."""
    return bool(_NOT_VERIFIED.search(text))


def names_sender(text: str, sender: str) -> bool:
    """Return True if SES's text names the address of this From."""
    address = addresses.key(parseaddr(sender)[1])
    identities = re.findall(r"[^\s,:<>]+@[^\s,:<>]+", text.lower())
    return address in identities


def _while_connecting(exc: BaseException | None) -> bool:
    """Return True if TLS broke while connecting, so that no request has left.

    The traceback tells: TLS may also break after the request has left, with the same error.
    """
    while exc is not None:
        if any(frame.f_code.co_name == "connect" for frame, _ in walk_tb(exc.__traceback__)):
            return True
        exc = exc.__context__
    return False
