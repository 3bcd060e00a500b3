"""Send test emails as ordinary events, so that a test proves the whole way: outbox, queue, consumer, SES, its reports.

Unlike other emails, a test is not tried again: whoever asked for it wants to know SES's answer.
"""

from __future__ import annotations

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
# Rows of test emails are found by this subject.
SUBJECT = "test-email"


class EmailTestRequested(EventData, type=TYPE, queue="orders", source="/emails"):
    """Staff asked for a test email. ``sender`` is its From address; if it is empty, the default sender is used."""

    recipient: Annotated[str, Field(max_length=254, pattern=r"^[^\s@]+@[^\s@]+$")]
    sender: Annotated[str, Field(max_length=320)] = ""
    requested_by: Annotated[str, Field(max_length=150)]
    requested_at: AwareDatetime


def request(recipient: str, *, sender: str = "", by: str) -> UUID:
    """Record the event of a test email; returns its id, with which the caller follows the test."""
    data = EmailTestRequested(
        recipient=recipient,
        sender=sender,
        requested_by=by,
        requested_at=timezone.now().replace(microsecond=0),
    )
    event = Event.of(data, subject=SUBJECT, partition_key=SUBJECT)
    with transaction.atomic():
        outbox.record(event)
    return event.id


def sender_of(notification: Notification) -> str:
    """Return the From address that a test asked for; empty for the default sender and for every other email."""
    return str(notification.context.get("sender", "")) if _is_trial(notification) else ""


def ends_with(notification: Notification, error: SendError) -> bool:
    """Return True if this error ends a test, where another email would be tried again or become a dead letter.

    A problem that stops all sending holds a test back as well. A problem with the test's own sender ends only the test.
    """
    if not _is_trial(notification) or isinstance(error, InDoubt | Throttled):
        return False
    if isinstance(error, Unavailable):
        return error.breaker == CONFIGURATION and bool(sender_of(notification))
    return True


def _is_trial(notification: Notification) -> bool:
    return notification.event_type == TYPE
