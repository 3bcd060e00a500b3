"""Find out which emails an event leads to, without sending any of them."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db.models.functions import Now

from emails.models import Notification
from emails.versions.places import Offer
from queues import registry
from queues.events import foreign, tracing
from queues.events.envelope import Event


@dataclass(frozen=True)
class Owed:
    """An email that an event owes to a recipient; its notification may exist already."""

    event: Event
    template: str
    recipient: str
    # The guard may keep a bulk email back while too many emails bounce.
    bulk: bool = False
    # What it is rendered with; see ``emails.versions.editions``.
    edition: int | None = field(default=None, compare=False)
    # A version that it may get instead.
    offer: Offer | None = field(default=None, compare=False)
    sqs_message_id: str = field(default_factory=foreign.message_id, compare=False)
    # The trace in which the email is sent.
    traceparent: str = field(default_factory=tracing.of_current_span, compare=False)

    @property
    def key(self) -> tuple[uuid.UUID, str, str]:
        """The event, template and recipient that together identify one email."""
        return self.event.id, self.template, self.recipient

    def notification(self, **fields: Any) -> Notification:
        """Return a new notification of this email, not saved."""
        return Notification(
            event_id=self.event.id,
            template=self.template,
            recipient=self.recipient,
            event_type=self.event.type,
            subject=self.event.subject,
            event_source=self.event.source,
            partition_key=self.event.partitionkey,
            context=self.event.data,
            sqs_message_id=self.sqs_message_id,
            edition_id=self.edition,
            next_at=Now(),
            **fields,
        )


_plan: ContextVar[list[Owed] | None] = ContextVar("plan", default=None)


def planned(event: Event) -> list[Owed]:
    """Return the emails that the event owes, without sending any. Its data must fit its type.

    Only the handlers of this app run: they choose templates and recipients, and ``notify`` notes the choice instead of
    sending.
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
    """Note the email if ``planned`` is running; True then, and the caller must not send it."""
    plan = _plan.get()
    if plan is None:
        return False
    plan.append(owed)
    return True
