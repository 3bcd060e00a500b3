"""Send test emails as ordinary events, so that a test proves the whole way: outbox, queue, consumer, SES, its reports.

Unlike other emails, a test is not tried again: whoever asked for it wants to know SES's answer.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.utils import timezone
from pydantic import AwareDatetime, Field

from emails.errors import InDoubt, SendError, Throttled, Unavailable
from emails.models import Notification
from emails.rendering.templates import Rendered
from emails.sending.breakers import CONFIGURATION
from queues import outbox
from queues.events.envelope import Event, EventData

TYPE = "email.test_requested.v1"
TEMPLATE = "test_email"
# Rows of test emails are found by this subject.
SUBJECT = "test-email"
_SALT = "emails.sending.trials.draft"


class EmailTestRequested(EventData, type=TYPE, queue="orders", source="/emails"):
    """Staff asked for a test email. ``sender`` is its From address; if it is empty, the default sender is used.

    ``draft`` is an email that is sent instead of the test's own text, signed by the console.
    """

    recipient: Annotated[str, Field(max_length=254, pattern=r"^[^\s@]+@[^\s@]+$")]
    sender: Annotated[str, Field(max_length=320)] = ""
    requested_by: Annotated[str, Field(max_length=150)]
    requested_at: AwareDatetime
    draft: str = ""


def request(recipient: str, *, sender: str = "", by: str, draft: Rendered | None = None) -> UUID:
    """Record the event of a test email; returns its id, with which the caller follows the test.

    ``draft`` is sent instead of the test's own text, marked in its subject. Raises EventTooLarge if it does not fit.
    """
    data = EmailTestRequested(
        draft=_signed(recipient, draft) if draft else "",
        recipient=recipient,
        sender=sender,
        requested_by=by,
        requested_at=timezone.now().replace(microsecond=0),
    )
    event = Event.of(data, subject=SUBJECT, partition_key=SUBJECT)
    with transaction.atomic():
        outbox.record(event)
    return event.id


def draft_of(notification: Notification) -> Rendered | None:
    """Return the draft that a test sends; None for a test of its own text, and for every other email.

    Only what the console signed for this recipient is sent: whoever else can write into the queue cannot choose a text.
    """
    signed = notification.context.get("draft") if _is_trial(notification) else None
    if not signed:
        return None
    try:
        recipient, subject, html, text = signing.loads(signed, salt=_SALT)
    except (signing.BadSignature, ValueError):
        return None
    return Rendered(subject, html, text) if recipient == notification.recipient else None


def _signed(recipient: str, draft: Rendered) -> str:
    parts = [recipient, f"[Draft] {draft.subject}", draft.html, draft.text]
    return signing.dumps(parts, salt=_SALT, compress=True)


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
