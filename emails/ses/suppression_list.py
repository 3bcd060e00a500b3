"""Read and change the suppression list of the SES account through SES API version 2.

Sources: SES API v2 reference, ListSuppressedDestinations, PutSuppressedDestination, GetSuppressedDestination,
DeleteSuppressedDestination. SES takes each of these calls about once a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from emails.errors import ListBusy, ListForbidden, ListUnavailable, NotListable
from emails.ses import error_codes, fields, ses_api
from queues import addresses
from queues.aws.clients import FAILURES, described
from queues.aws.failures.meanings import Meaning

PAGE_SIZE = 1000

Reason = Literal["BOUNCE", "COMPLAINT"]

_REFUSED = {"BadRequestException", "InvalidParameterValue", "ValidationException"}


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
    with _asked("ListSuppressedDestinations"):
        answer: Any = ses_api.api_v2().list_suppressed_destinations(**options)
        found = fields.items(answer, "SuppressedDestinationSummaries")
        return Page([_listed(each) for each in found], fields.text(answer, "NextToken", ""))


def put(address: str, reason: Reason) -> None:
    """Put an address on SES's list; a second time only the reason changes.

    Raises ListUnavailable, or NotListable if SES refuses just this address.
    """
    with _asked("PutSuppressedDestination"):
        ses_api.api_v2().put_suppressed_destination(EmailAddress=_ascii(address), Reason=reason)


def delete(address: str) -> None:
    """Take an address off SES's list, if it is there. Raises the same as ``put``."""
    with suppress(_Absent), _asked("DeleteSuppressedDestination"):
        ses_api.api_v2().delete_suppressed_destination(EmailAddress=_ascii(address))


def get(address: str) -> Listed | None:
    """Return SES's current entry for an address; None if it is not listed. Raises the same as ``put``."""
    with suppress(_Absent), _asked("GetSuppressedDestination"):
        answer: Any = ses_api.api_v2().get_suppressed_destination(EmailAddress=_ascii(address))
        return _listed(answer["SuppressedDestination"])
    return None


def _ascii(address: str) -> str:
    """Return the address as SES takes it; raises NotListable."""
    try:
        return addresses.deliverable(address)
    except addresses.Undeliverable as exc:
        if address.isascii():
            return address
        raise NotListable(f"SES cannot list this address. {exc}") from exc


class _Absent(ListUnavailable):
    """SES does not list the address."""


def _listed(found: Mapping[str, Any]) -> Listed:
    since = found["LastUpdateTime"]
    if not isinstance(since, datetime):
        raise TypeError("LastUpdateTime is no time")
    return Listed(fields.text(found, "EmailAddress"), fields.text(found, "Reason"), since)


@contextmanager
def _asked(operation: str) -> Iterator[None]:
    """Turn whatever a question, or reading its answer, raises into our errors, in words for staff."""
    try:
        yield
    except FAILURES as exc:
        code, text = described(exc)
        raise _failed(operation, code, text) from exc


def _failed(operation: str, code: str, text: str) -> Exception:
    found = error_codes.meaning(code)
    if found is Meaning.MISSING and operation != "ListSuppressedDestinations":
        return _Absent(f"{operation}: {text}")
    if code in _REFUSED:
        return NotListable(f"{operation}: {text}")
    if found is Meaning.THROTTLED:
        return ListBusy(f"SES takes {operation} about once a second.")
    if found is Meaning.DENIED:
        return ListForbidden(f"Not available here: the IAM permission ses:{operation} is missing.")
    if found is Meaning.LACKING:
        return ListForbidden(f"Not available here: this endpoint does not answer {operation}.")
    return ListUnavailable(f"{operation}: {text} ({code})")
