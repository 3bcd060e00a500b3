"""What events owe: an email to a recipient, whether there is a notification of it already or not."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from emails.models import Notification
from queues import registry
from queues.events.envelope import Event


@dataclass(frozen=True)
class Owed:
    """What an event owes to a recipient; there may be a notification of it already."""

    event: Event
    template: str
    recipient: str
    # May be kept back while too much bounces.
    bulk: bool = False

    @property
    def key(self) -> tuple[uuid.UUID, str, str]:
        """What makes one event one email."""
        return self.event.id, self.template, self.recipient

    def notification(self, **fields: Any) -> Notification:
        """A new one, not saved."""
        return Notification(
            event_id=self.event.id,
            template=self.template,
            recipient=self.recipient,
            event_type=self.event.type,
            subject=self.event.subject,
            event_source=self.event.source,
            partition_key=self.event.partitionkey,
            context=self.event.data,
            next_at=Now(),
            **fields,
        )


_plan: ContextVar[list[Owed] | None] = ContextVar("plan", default=None)


def planned(event: Event) -> list[Owed]:
    """Find out what the event owes, with nothing sent. Its data must fit its type.

    Only the handlers of this app are run: they choose templates and recipients, and ``notify`` notes the choice
    instead of sending.
    """
    plan: list[Owed] = []
    token = _plan.set(plan)
    try:
        for handler in registry.handlers_of(event.type):
            if handler.__module__ == "emails.handlers":
                handler(event)
    finally:
        _plan.reset(token)
    return plan


def is_noted(owed: Owed) -> bool:
    """Whether this was only a plan; then nothing is to be sent."""
    plan = _plan.get()
    if plan is None:
        return False
    plan.append(owed)
    return True
