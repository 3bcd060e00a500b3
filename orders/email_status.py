"""Look up the delivery status of an order's email; the app that sends emails registers its teller here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from queues.answers import EmailStep


@dataclass(frozen=True)
class EmailStatus:
    """The status of an email: ``status`` is a word for programs, ``message`` a sentence for the customer."""

    status: str
    message: str
    steps: Sequence[EmailStep] = ()


class Teller(Protocol):
    """An object that knows the delivery status of emails."""

    def of(self, subject: str) -> EmailStatus:
        """Return the status of the email about ``ORD-000123``; may query the database."""

    def recorded(self, at: datetime) -> EmailStatus:
        """Return the status of an email whose event was recorded just now, at this time; makes no query."""


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
