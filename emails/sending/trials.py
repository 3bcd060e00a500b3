"""Test emails: events like any other, so that a test proves the whole way: outbox, queue, consumer, SES, its reports.

Unlike other emails a test is not tried again: what SES answers to it is what its sender wants to know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from pydantic import AwareDatetime, Field

from emails.errors import InDoubt, SendError, Throttled, Unavailable
from emails.models import Notification
from emails.sending.breakers import CONFIGURATION
from queues import outbox
from queues.events.envelope import Event, EventData

TYPE = "email.test_requested.v1"
TEMPLATE = "test_email"
# What their rows are found by.
SUBJECT = "test-email"


class EmailTestRequested(EventData, type=TYPE, queue="orders", source="/emails"):
    """Somebody wants to know whether emails arrive. ``sender`` is the From; empty: whoever is the default."""

    recipient: Annotated[str, Field(max_length=254, pattern=r"^[^\s@]+@[^\s@]+$")]
    sender: Annotated[str, Field(max_length=320)] = ""
    requested_by: Annotated[str, Field(max_length=150)]
    requested_at: AwareDatetime


def request(recipient: str, *, sender: str = "", by: str) -> UUID:
    """Record the event; returns its id, by which the test is followed."""
    data = EmailTestRequested(
        recipient=recipient, sender=sender, requested_by=by, requested_at=_now()
    )
    event = Event.of(data, subject=SUBJECT, partition_key=SUBJECT)
    with transaction.atomic():
        outbox.record(event)
    return event.id


def sender_of(notification: Notification) -> str:
    """Whom a test is to be sent as; empty for every other email, and for the default sender."""
    return str(notification.context.get("sender", "")) if _is_trial(notification) else ""


def ends_with(notification: Notification, error: SendError) -> bool:
    """Whether this answer ends it: a test is given up where another email is tried again or becomes a dead letter.

    Trouble that stops all sending holds a test as well, but a sender of its own stops nothing else.
    """
    if not _is_trial(notification) or isinstance(error, InDoubt | Throttled):
        return False
    if isinstance(error, Unavailable):
        return error.breaker == CONFIGURATION and bool(sender_of(notification))
    return True


def _is_trial(notification: Notification) -> bool:
    return notification.event_type == TYPE


def _now() -> datetime:
    return timezone.now().replace(microsecond=0)
