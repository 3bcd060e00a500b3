"""Ask SES a question for a page or for staff, and explain in words if SES does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from xml.etree.ElementTree import ParseError

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from emails.errors import IdentityError, NoSuchIdentity
from emails.ses import error_codes
from queues.aws.clients import STUMBLES

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
}
_UNKNOWN = {"NotFoundException", "ConfigurationSetDoesNotExist"}

Answer = TypeVar("Answer")


def ask(operation: str, call: Callable[..., Answer], **parameters: Any) -> Answer:
    """Call SES and return its answer; raises NoSuchIdentity if SES lacks the thing, else IdentityError.

    ``operation`` is the operation's name in the API, which is also the name of its IAM permission.
    """
    try:
        return call(**parameters)
    except (ClientError, BotoCoreError, ResponseParserError, ParseError, OSError, *STUMBLES) as exc:
        code, text = error_codes.describe(exc)
        if code in _UNKNOWN:
            raise NoSuchIdentity(f"{operation}: {text} ({code})") from exc
        raise IdentityError(_words(operation, code, text, exc)) from exc


def _words(operation: str, code: str, text: str, exc: Exception) -> str:
    if code in _DENIED:
        return (
            f"Not available here: the IAM permission ses:{operation} is missing. SES says: {text}"
        )
    if code in error_codes.THROTTLED:
        return f"SES takes {operation} about once a second. Wait a moment, then try again."
    is_unreadable = isinstance(exc, (ResponseParserError, ParseError, *STUMBLES))
    if code in error_codes.LACKING or is_unreadable:
        return f"Not available here: this endpoint does not answer {operation}."
    return f"{operation}: {text} ({code})"
