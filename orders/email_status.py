"""Look up what happened to emails, for customers and for staff; the app that sends emails registers its teller here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from queues.answers import EmailStep


@dataclass(frozen=True)
class EmailStatus:
    """The status of an email: ``status`` is a word for programs, ``message`` a sentence for the customer."""

    status: str
    message: str
    steps: Sequence[EmailStep] = ()


@dataclass(frozen=True)
class EmailOutcome:
    """What staff see of an email in a list: a label in a colour, and the event whose timeline says more.

    ``is_lost`` is True if the email did not arrive and staff may send it to a corrected address.
    """

    label: str
    colour: str = ""
    event_id: UUID | None = None
    is_lost: bool = False


class Teller(Protocol):
    """An object that knows the delivery status of emails."""

    def of(self, subject: str) -> EmailStatus:
        """Return the status of the email about ``ORD-000123``; may query the database."""

    def recorded(self, at: datetime) -> EmailStatus:
        """Return the status of an email whose event was recorded just now, at this time; makes no query."""

    def outcomes(self, subjects: Collection[str]) -> Mapping[str, EmailOutcome]:
        """Return the outcome of the email about each of these subjects, in a few queries for all of them."""

    def newest(self, rows: QuerySet[Any], column: str) -> Mapping[Any, EmailOutcome]:
        """Return the outcome of the newest email to the address in this column, by the row's key, in a few queries."""


T = TypeVar("T", bound=Teller)

_tellers: list[Teller] = []


def register(teller: type[T]) -> type[T]:
    """Register a class whose one object tells the delivery status of emails from now on."""
    _tellers[:] = [teller()]
    return teller


def of(subject: str) -> EmailStatus | None:
    """Return the status of the email about this subject; None if no app sends emails."""
    return _tellers[0].of(subject) if _tellers else None


def recorded(at: datetime) -> EmailStatus | None:
    """Return the status of an email whose event was recorded just now; None if no app sends emails."""
    return _tellers[0].recorded(at) if _tellers else None


def outcomes(subjects: Collection[str]) -> Mapping[str, EmailOutcome]:
    """Return the outcome of the email about each subject; a subject is missing if no email is known."""
    return _tellers[0].outcomes(subjects) if _tellers and subjects else {}


def newest(rows: QuerySet[Any], column: str) -> Mapping[Any, EmailOutcome]:
    """Return the outcome of the newest email to the address in this column, by the row's key."""
    return _tellers[0].newest(rows, column) if _tellers else {}
