"""The suppression list of the SES account: where this app meets its API, version 2.

Sources: SES API v2 reference, ListSuppressedDestinations, PutSuppressedDestination, GetSuppressedDestination,
DeleteSuppressedDestination. SES takes each about once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from emails.errors import ListBusy, ListForbidden, ListUnavailable, NotListable
from emails.ses import error_codes, ses_api

PAGE_SIZE = 1000

Reason = Literal["BOUNCE", "COMPLAINT"]

_FOREIGN = (ClientError, BotoCoreError, ResponseParserError, OSError)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException"}
_REFUSED = {"BadRequestException", "InvalidParameterValue", "ValidationException"}
_ABSENT = {"NotFoundException"}
# What an endpoint says that has not got the operation.
_LACKING = {"InvalidAction", "NotImplemented", "UnknownOperationException", "404", "500", "501"}


@dataclass(frozen=True)
class Listed:
    """An address on SES's list, with the reason there and the time when it got there."""

    address: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class Page:
    """Some of the list; without ``next_token`` it was the last."""

    listed: Sequence[Listed]
    next_token: str


def page(*, token: str = "", since: datetime | None = None) -> Page:  # noqa: S107  # no password
    """One page, of all or of what was listed since then. Raises ListUnavailable."""
    options: dict[str, Any] = {"PageSize": PAGE_SIZE}
    if token:
        options["NextToken"] = token
    if since:
        options["StartDate"] = since
    answer = _ask("ListSuppressedDestinations", options)
    return Page(
        [
            Listed(found["EmailAddress"], found["Reason"], found["LastUpdateTime"])
            for found in answer.get("SuppressedDestinationSummaries", [])
        ],
        answer.get("NextToken") or "",
    )


def put(address: str, reason: Reason) -> None:
    """List it; again changes only the reason. Raises ListUnavailable, or NotListable for this address alone."""
    _ask("PutSuppressedDestination", {"EmailAddress": address, "Reason": reason})


def delete(address: str) -> None:
    """Take it off; one that is not there is fine. Raises as ``put``."""
    _ask("DeleteSuppressedDestination", {"EmailAddress": address})


def get(address: str) -> Listed | None:
    """What SES says of it now; None where it is not listed. Raises as ``put``."""
    answer = _ask("GetSuppressedDestination", {"EmailAddress": address})
    found = answer.get("SuppressedDestination")
    return found and Listed(found["EmailAddress"], found["Reason"], found["LastUpdateTime"])


def _ask(operation: str, options: dict[str, Any]) -> dict[str, Any]:
    client = ses_api.api_v2()
    calls: dict[str, Callable[..., Any]] = {
        "ListSuppressedDestinations": client.list_suppressed_destinations,
        "PutSuppressedDestination": client.put_suppressed_destination,
        "GetSuppressedDestination": client.get_suppressed_destination,
        "DeleteSuppressedDestination": client.delete_suppressed_destination,
    }
    try:
        answer: dict[str, Any] = calls[operation](**options)
    except _FOREIGN as exc:
        return _failed(operation, exc)
    return answer


def _failed(operation: str, exc: Exception) -> dict[str, Any]:
    """Nothing is found where nothing is; raises the rest in words for staff."""
    code, text = error_codes.describe(exc)
    if code in _ABSENT and operation != "ListSuppressedDestinations":
        return {}
    if code in _REFUSED:
        raise NotListable(f"{operation}: {text}") from exc
    if code in _THROTTLED:
        raise ListBusy(f"SES takes {operation} about once a second.") from exc
    if code in _DENIED:
        raise ListForbidden(f"Not available here: the right ses:{operation} is missing.") from exc
    if code in _LACKING or isinstance(exc, ResponseParserError):
        raise ListForbidden(
            f"Not available here: this endpoint does not answer {operation}."
        ) from exc
    raise ListUnavailable(f"{operation}: {text} ({code})") from exc
