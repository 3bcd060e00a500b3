"""Events that owe an email, and their notifications, one step at a time."""

from __future__ import annotations

from django.db import transaction

from emails import rendering, sending, states
from emails.models import Notification
from queues import outbox
from queues.events import Event


def place(*, recipient: str = "ada@example.com") -> Event:
    """An order's event in the outbox, as orders records it."""
    sample = rendering.sample("order_confirmation")
    data = {**sample.data, "customer": {"name": "Ada", "email": recipient}}
    event = Event(source="/orders", type=sample.type, subject=sample.subject, data=data)
    with transaction.atomic():
        outbox.record(event)
    return event


def owed(event: Event) -> Notification:
    """What it owes, not yet claimed."""
    return sending._owed(event, "order_confirmation", event.data["customer"]["email"])


def claimed(notification: Notification) -> states.Claim:
    """A claim that is granted."""
    claim = states.claim(notification)
    assert claim is not None
    return claim


def only() -> Notification:
    """The one notification there is."""
    return Notification.objects.get()
