"""What SES's errors mean: whether an email was sent, and whose trouble it is.

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
from queues.aws.clients import STUMBLES, UNREADABLE, unreadable

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


def describe(exc: Exception) -> tuple[str, str]:
    """The code and the text of an error, as AWS gave them, or in words of ours."""
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        return error.get("Code", "ClientError"), error.get("Message", str(exc))
    if isinstance(exc, STUMBLES) and not isinstance(exc, OSError):
        return UNREADABLE, unreadable(exc)
    return type(exc).__name__, str(exc)


def classified(exc: Exception, *, sender: str = "") -> SendError:
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


def _while_connecting(exc: BaseException | None) -> bool:
    """Where it was raised says it: TLS may also break when the request has left, and the error is the same."""
    while exc is not None:
        if any(frame.f_code.co_name == "connect" for frame, _ in walk_tb(exc.__traceback__)):
            return True
        exc = exc.__context__
    return False
