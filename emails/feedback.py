"""What SES says later of an email: read from the events queue, recorded once, moving the notification on.

Payload: SES developer guide, "Examples of event data that Amazon SES publishes to Amazon SNS", as it is or in the
wrapper that SNS puts around it without raw delivery. Any of these events proves that SES accepted the email.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from emails import evidence, states
from emails.models import DeliveryEvent, Notification
from queues.errors import BadData, BadEnvelope
from queues.registry import reads

logger = logging.getLogger(__name__)

Delivery = Notification.Delivery

# A later event of lower rank is stored and changes nothing.
_RANKS = {status: rank for rank, status in enumerate(Delivery.values)}
# Plain text, sent once when an event destination is made.
_GREETING = "Successfully validated SNS topic for Amazon SES event publishing"
_EVENT_TYPES = {
    "Send",
    "Delivery",
    "DeliveryDelay",
    "Bounce",
    "Complaint",
    "Reject",
    "Open",
    "Click",
}


@reads("ses-events")
def take(body: str) -> None:
    """Record one message of the events queue; raises BadEnvelope or BadData for what SES does not send."""
    if _GREETING in body:
        logger.info("SES can publish to the events topic")
        return
    event = _unwrapped(body)
    kind = event.get("eventType")
    if kind == "Rendering Failure" or kind == "Subscription":
        logger.warning("ignored SES event type=%s", kind)
        return
    if kind not in _EVENT_TYPES:
        raise BadData(f"unknown SES event type {kind!r}", code="UnknownSesEvent")
    try:
        record(kind, event)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        raise BadData(f"SES event {kind} lacks or bends a field: {exc!r}") from exc


@transaction.atomic
def record(kind: str, event: dict[str, Any]) -> None:
    """Store the event once and let it move its notification on; an email that is not ours is stored only."""
    mail = event["mail"]
    message_id = mail["messageId"]
    moment = datetime.fromisoformat(_detail(kind, event).get("timestamp") or mail["timestamp"])
    _, is_new = DeliveryEvent.objects.get_or_create(
        provider_message_id=message_id,
        type=kind,
        recipient=_recipient(kind, event),
        happened_at=moment,
        defaults={"raw": event},
    )
    if kind == "Send":
        evidence.saw(datetime.fromisoformat(mail["timestamp"]))
    notification = _accepted(message_id, mail.get("tags") or {})
    if notification is None:
        logger.warning("SES event of an email that is not ours type=%s ses=%s", kind, message_id)
        return
    if is_new:
        logger.info("ses event=%s type=%s ses=%s", notification.event_id, kind, message_id)
    if (status := _status(kind, event)) is not None:
        _raise_status(notification, status, moment)


def _unwrapped(body: str) -> dict[str, Any]:
    value = _object(body)
    if value.get("Type") == "Notification" and isinstance(value.get("Message"), str):
        value = _object(value["Message"])
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadEnvelope(f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadEnvelope(f"a JSON {type(value).__name__}, not an object")
    return value


def _detail(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
    detail = event.get(name) or {}
    return detail if isinstance(detail, dict) else {}


_FIRST_RECIPIENT: dict[str, Callable[[dict[str, Any]], str]] = {
    "Bounce": lambda detail: detail["bouncedRecipients"][0]["emailAddress"],
    "Complaint": lambda detail: detail["complainedRecipients"][0]["emailAddress"],
    "DeliveryDelay": lambda detail: detail["delayedRecipients"][0]["emailAddress"],
}


def _recipient(kind: str, event: dict[str, Any]) -> str:
    """Ours has one recipient each; SES repeats the address as it was given."""
    if kind in _FIRST_RECIPIENT:
        return _FIRST_RECIPIENT[kind](_detail(kind, event))
    return str(event["mail"]["destination"][0])


def _accepted(message_id: str, tags: dict[str, list[str]]) -> Notification | None:
    """The notification that this email was sent for; that there is an event proves that SES accepted it."""
    nid, att = (tags.get("nid") or [""])[0], (tags.get("att") or ["0"])[0]
    if re.fullmatch(r"[0-9a-fA-F-]{36}", nid) and att.isdigit():
        states.accept(uuid.UUID(nid), int(att), message_id)
        return Notification.objects.filter(pk=nid).first()
    return Notification.objects.filter(provider_message_id=message_id).first()


def _status(kind: str, event: dict[str, Any]) -> Notification.Delivery | None:
    if kind == "Bounce":
        permanent = event["bounce"].get("bounceType") == "Permanent"
        return Delivery.BOUNCED_HARD if permanent else Delivery.BOUNCED_SOFT
    return {
        "Delivery": Delivery.DELIVERED,
        "DeliveryDelay": Delivery.DELAYED,
        "Complaint": Delivery.COMPLAINED,
        "Reject": Delivery.REJECTED,
        "Open": Delivery.DELIVERED,
        "Click": Delivery.DELIVERED,
    }.get(kind)


def _raise_status(
    notification: Notification, status: Notification.Delivery, moment: datetime
) -> None:
    lower = [value for value, rank in _RANKS.items() if rank < _RANKS[status]]
    rows = Notification.objects.filter(pk=notification.pk, delivery_status__in=lower)
    if status == Delivery.DELIVERED:
        rows.update(delivery_status=status, delivered_at=moment)
    else:
        rows.update(delivery_status=status)
