"""Dead letters as the collector makes them, without SQS."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import Permission, User

from emails.rendering import templates
from queues.dead_letters import collecting
from queues.events import envelope
from queues.events.envelope import Event
from queues.models import DeadLetter

UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
)


def placed(*, email: str = "ada@example.com", **data: Any) -> Event:
    """An order's event, recorded nowhere."""
    sample = templates.sample("order_confirmation")
    customer = {"name": "Ada", "email": email}
    return Event(
        source="/orders",
        type=sample.type,
        subject=sample.subject,
        data={**sample.data, "customer": customer} | data,
    )


def make_dead_letter(
    event: Event | None = None, *, code: str = "RenderError", reason: str = "broken", **fields: Any
) -> DeadLetter:
    """The open letter of an event; ``body`` among the fields is instead of one."""
    event = event or placed()
    body = fields.pop("body", None) or event.to_json()
    defaults = {
        "queue": "orders",
        "sqs_message_id": str(uuid.uuid4()),
        "event_id": event.id,
        "type": event.type,
        "subject": event.subject,
        "body": body,
        "code": code,
        "reason": reason,
        "fingerprint": collecting.fingerprint(code, reason),
        "receive_count": 3,
    }
    stake = collecting.stake_fields(envelope.stake(body))
    return DeadLetter.objects.create(**defaults | stake | fields)


def staff(*permissions: str) -> User:
    """Make a member of staff with these rights only."""
    user = User.objects.create_user(f"staff-{uuid.uuid4()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user
