"""Read and change the suppression list of the SES account through SES API version 2.

Sources: SES API v2 reference, ListSuppressedDestinations, PutSuppressedDestination, GetSuppressedDestination,
DeleteSuppressedDestination. SES takes each of these calls about once a second.
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
from queues import addresses

PAGE_SIZE = 1000

Reason = Literal["BOUNCE", "COMPLAINT"]

_FOREIGN = (ClientError, BotoCoreError, ResponseParserError, OSError)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_REFUSED = {"BadRequestException", "InvalidParameterValue", "ValidationException"}
_ABSENT = {"NotFoundException"}


@dataclass(frozen=True)
class Listed:
    """An address on SES's list, with SES's reason and the time when SES listed it."""

    address: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class Page:
    """One page of SES's list; it is the last page if ``next_token`` is empty."""

    listed: Sequence[Listed]
    next_token: str


def page(*, token: str = "", since: datetime | None = None) -> Page:  # noqa: S107  # no password
    """Return one page of the whole list, or of the addresses listed since ``since``. Raises ListUnavailable."""
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
    """Put an address on SES's list; a second time only the reason changes.

    Raises ListUnavailable, or NotListable if SES refuses just this address.
    """
    _ask("PutSuppressedDestination", {"EmailAddress": _ascii(address), "Reason": reason})


def delete(address: str) -> None:
    """Take an address off SES's list, if it is there. Raises the same as ``put``."""
    _ask("DeleteSuppressedDestination", {"EmailAddress": _ascii(address)})


def get(address: str) -> Listed | None:
    """Return SES's current entry for an address; None if it is not listed. Raises the same as ``put``."""
    answer = _ask("GetSuppressedDestination", {"EmailAddress": _ascii(address)})
    found = answer.get("SuppressedDestination")
    return found and Listed(found["EmailAddress"], found["Reason"], found["LastUpdateTime"])


def _ascii(address: str) -> str:
    """Return the address as SES takes it; raises NotListable."""
    try:
        return addresses.deliverable(address)
    except addresses.Undeliverable as exc:
        if address.isascii():
            return address
        raise NotListable(f"SES cannot list this address. {exc}") from exc


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
    """Return an empty answer if SES does not list the address; raise every other error in words for staff."""
    code, text = error_codes.describe(exc)
    if code in _ABSENT and operation != "ListSuppressedDestinations":
        return {}
    if code in _REFUSED:
        raise NotListable(f"{operation}: {text}") from exc
    if code in error_codes.THROTTLED:
        raise ListBusy(f"SES takes {operation} about once a second.") from exc
    if code in _DENIED:
        raise ListForbidden(
            f"Not available here: the IAM permission ses:{operation} is missing."
        ) from exc
    if code in error_codes.LACKING or isinstance(exc, ResponseParserError):
        raise ListForbidden(
            f"Not available here: this endpoint does not answer {operation}."
        ) from exc
    raise ListUnavailable(f"{operation}: {text} ({code})") from exc
