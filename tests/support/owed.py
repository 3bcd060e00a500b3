"""Events that owe an email, and their notifications, one step at a time."""

from __future__ import annotations

from django.db import transaction

from emails.models import Notification
from emails.rendering import templates
from emails.sending import claims
from emails.sending.planning import Owed
from queues import outbox
from queues.events.envelope import Event


def placed(*, recipient: str = "ada@example.com") -> Event:
    """An order's event, recorded nowhere."""
    sample = templates.sample("order_confirmation")
    data = {**sample.data, "customer": {"name": "Ada", "email": recipient}}
    return Event(source="/orders", type=sample.type, subject=sample.subject, data=data)


def place(*, recipient: str = "ada@example.com") -> Event:
    """An order's event in the outbox, as orders records it."""
    event = placed(recipient=recipient)
    with transaction.atomic():
        outbox.record(event)
    return event


def owed(event: Event) -> Notification:
    """Save the notification that the event owes, not yet claimed."""
    return notification_of(event, "order_confirmation", event.data["customer"]["email"])


def notification_of(event: Event, template: str, recipient: str) -> Notification:
    """The same, for any template."""
    notification = Owed(event, template, recipient).notification()
    notification.save()
    notification.refresh_from_db()
    return notification


def claimed(notification: Notification) -> claims.Claim:
    """A claim that is granted."""
    claim = claims.claim(notification)
    assert claim is not None
    return claim


def only() -> Notification:
    """The one notification there is."""
    return Notification.objects.get()
