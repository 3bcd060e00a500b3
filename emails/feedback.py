"""What SES says later of an email: read from the events queue, recorded once, moving the notification on.

Payload: SES developer guide, "Examples of event data that Amazon SES publishes to Amazon SNS", as it is or in the
wrapper that SNS puts around it without raw delivery. Any of these events proves that SES accepted the email.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.db import transaction
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from emails import evidence, states
from emails.models import DeliveryEvent, Notification
from queues import groups
from queues.errors import BadData
from queues.events import json_object, summary
from queues.registry import reads

logger = logging.getLogger(__name__)

Delivery = Notification.Delivery

# A later event of lower rank is stored and changes nothing.
_RANKS = {status: rank for rank, status in enumerate(Delivery.values)}
# Plain text, sent once when an event destination is made.
_GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
# Each of these threads has a connection of its own, and nothing else to wait for.
MAX_AT_ONCE = 8
_IGNORED = ("Rendering Failure", "Subscription")


def _plausible(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 9000:
        raise ValueError("a date out of all reason")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
Address = Annotated[str, Field(max_length=254)]


class _Recipient(BaseModel):
    address: Address = Field(alias="emailAddress")


class _Detail(BaseModel):
    """The part that is named after the type of event."""

    timestamp: Moment | None = None
    bounce_type: str = Field(default="", alias="bounceType")
    bounced: list[_Recipient] = Field(default=[], alias="bouncedRecipients")
    complained: list[_Recipient] = Field(default=[], alias="complainedRecipients")
    delayed: list[_Recipient] = Field(default=[], alias="delayedRecipients")


class _Mail(BaseModel):
    timestamp: Moment
    message_id: str = Field(alias="messageId", min_length=1, max_length=100)
    destination: list[Address] = Field(min_length=1)
    tags: dict[str, list[str]] = {}


class SesEvent(BaseModel):
    """One event, as far as we need it."""

    kind: Literal[
        "Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject", "Open", "Click"
    ] = Field(alias="eventType")
    mail: _Mail
    detail: _Detail = _Detail()

    @property
    def moment(self) -> datetime:
        """When it happened."""
        return self.detail.timestamp or self.mail.timestamp

    @property
    def recipient(self) -> str:
        """Ours has one each; SES repeats the address as it was given."""
        named = self.detail.bounced or self.detail.complained or self.detail.delayed
        return named[0].address if named else self.mail.destination[0]

    @property
    def status(self) -> Notification.Delivery | None:
        """What it says of the delivery, if anything."""
        if self.kind == "Bounce":
            permanent = self.detail.bounce_type == "Permanent"
            return Delivery.BOUNCED_HARD if permanent else Delivery.BOUNCED_SOFT
        return {
            "Delivery": Delivery.DELIVERED,
            "DeliveryDelay": Delivery.DELAYED,
            "Complaint": Delivery.COMPLAINED,
            "Reject": Delivery.REJECTED,
            "Open": Delivery.DELIVERED,
            "Click": Delivery.DELIVERED,
        }.get(self.kind)


@reads("ses-events", at_once=MAX_AT_ONCE)
def take(body: str) -> None:
    """Record one message of the events queue; raises BadEnvelope or BadData for what SES does not send."""
    if body.strip() == _GREETING:
        logger.info("SES can publish to the events topic")
        return
    raw = json_object(body)
    if raw.get("Type") == "Notification" and isinstance(raw.get("Message"), str):
        take(raw["Message"])
        return
    if raw.get("eventType") in _IGNORED:
        logger.warning("ignored SES event type=%s", raw["eventType"])
        return
    record(_parsed(raw), raw)


@transaction.atomic
def record(event: SesEvent, raw: dict[str, Any]) -> None:
    """Store the event once and let it move its notification on; an email that is not ours is stored only."""
    message_id = event.mail.message_id
    told = DeliveryEvent(
        provider_message_id=message_id,
        type=event.kind,
        recipient=event.recipient,
        happened_at=event.moment,
        raw=raw,
    )
    DeliveryEvent.objects.bulk_create([told], ignore_conflicts=True)
    if event.kind == "Send":
        evidence.saw(event.mail.timestamp)
    notification = _accepted(message_id, event.mail.tags)
    if notification is None:
        logger.info(
            "SES event of an email without a notification type=%s ses=%s", event.kind, message_id
        )
        return
    logger.info("ses event=%s type=%s ses=%s", notification.event_id, event.kind, message_id)
    if (status := event.status) is not None:
        _raise_status(notification, status, event.moment)


def _parsed(raw: dict[str, Any]) -> SesEvent:
    kind = raw.get("eventType")
    if not isinstance(kind, str):
        raise BadData("no eventType", code="UnknownSesEvent")
    name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
    try:
        return SesEvent.model_validate(raw | {"detail": raw.get(name) or {}})
    except ValidationError as exc:
        raise BadData(f"SES event {kind[:20]}: {summary(exc)}") from exc


def _accepted(message_id: str, tags: dict[str, list[str]]) -> Notification | None:
    """The notification that this email was sent for; that there is an event proves that SES accepted it."""
    nid, att = (tags.get("nid") or [""])[0], (tags.get("att") or [""])[0]
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", nid) and re.fullmatch(
        r"[0-9]{1,6}", att
    ):
        notification = Notification.objects.filter(pk=nid).first()
        if (
            notification
            # Mostly its sender has said so already.
            and not _is_known(notification, message_id)
            and states.accept(notification.pk, int(att), message_id)
        ):
            groups.end_holds([notification.event_id])
        return notification
    return Notification.objects.filter(provider_message_id=message_id).first()


def _is_known(notification: Notification, message_id: str) -> bool:
    return (
        notification.state == Notification.State.SENT
        and notification.provider_message_id == message_id
    )


def _raise_status(
    notification: Notification, status: Notification.Delivery, moment: datetime
) -> None:
    lower = [value for value, rank in _RANKS.items() if rank < _RANKS[status]]
    rows = Notification.objects.filter(pk=notification.pk, delivery_status__in=lower)
    if status == Delivery.DELIVERED:
        rows.update(delivery_status=status, delivered_at=moment)
    else:
        rows.update(delivery_status=status)
