"""What SES says later of an email: read from the events queue, recorded once, moving the notification on.

Payload: SES developer guide, "Examples of event data that Amazon SES publishes to Amazon SNS", as it is or in the
wrapper that SNS puts around it without raw delivery. Any of these events proves that SES accepted the email.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from emails import bad_news, bulk, evidence, states
from emails.models import DeliveryEvent, Notification
from queues import groups, writing
from queues.combining import Combined
from queues.errors import BadData
from queues.events import json_object, summary
from queues.registry import reads

logger = logging.getLogger(__name__)

Delivery = Notification.Delivery

# Plain text, sent once when an event destination is made.
_GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
# So many are recorded in one transaction.
MAX_TOGETHER = 64
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACCOUNT_LIST = "OnAccountSuppressionList"
_IGNORED = ("Rendering Failure", "Subscription")


def _plausible(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 9000:
        raise ValueError("a date out of all reason")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
Address = Annotated[str, Field(max_length=254)]


class _Recipient(BaseModel):
    address: Address = Field(alias="emailAddress")
    diagnostic: str | None = Field(default=None, alias="diagnosticCode")


class _Detail(BaseModel):
    """The part that is named after the type of event."""

    timestamp: Moment | None = None
    bounce_type: str = Field(default="", alias="bounceType")
    bounce_subtype: str | None = Field(default=None, alias="bounceSubType")
    complaint_subtype: str | None = Field(default=None, alias="complaintSubType")
    complaint_type: str | None = Field(default=None, alias="complaintFeedbackType")
    bounced: list[_Recipient] = Field(default=[], alias="bouncedRecipients")
    complained: list[_Recipient] = Field(default=[], alias="complainedRecipients")
    delayed: list[_Recipient] = Field(default=[], alias="delayedRecipients")


class _Mail(BaseModel):
    timestamp: Moment
    message_id: str = Field(alias="messageId", min_length=1, max_length=100)
    destination: list[Address] = Field(min_length=1)
    tags: dict[str, list[str]] = {}


Key = tuple[UUID | str, int]


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

    @cached_property
    def tags(self) -> tuple[UUID, int] | None:
        """The notification and the number of its attempt, as we tagged the email; None where it is not ours."""
        tags = self.mail.tags
        nid, att = (tags.get("nid") or [""])[0], (tags.get("att") or [""])[0]
        if _UUID.fullmatch(nid) and re.fullmatch(r"[0-9]{1,6}", att):
            return UUID(nid), int(att)
        return None

    @property
    def key(self) -> Key:
        """By which its notification is found."""
        return self.tags or (self.mail.message_id, 0)

    @property
    def is_on_account_list(self) -> bool:
        """SES did not try: the address is on the suppression list of the account there."""
        return _ACCOUNT_LIST in (self.detail.bounce_subtype, self.detail.complaint_subtype)

    @property
    def is_not_spam(self) -> bool:
        """A report to say that an email was no spam is no complaint."""
        return self.kind == "Complaint" and self.detail.complaint_type == "not-spam"

    @property
    def diagnosis(self) -> str:
        """What the recipient's mail server said, on one line: ``550 5.1.1 user unknown``."""
        named = self.detail.bounced or self.detail.delayed
        said = " ".join((named[0].diagnostic or "").split()) if named else ""
        return "".join(filter(str.isprintable, said.removeprefix("smtp; ")))

    @property
    def status(self) -> Notification.Delivery | None:
        """What it says of the delivery, if anything."""
        if self.is_on_account_list:
            return Delivery.SUPPRESSED
        if self.is_not_spam:
            return None
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


# An event with what SES wrote.
Told = tuple[SesEvent, dict[str, Any]]


@reads("ses-events")
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
    with _records.coming():
        event = parsed(raw)
    _records((event, raw))


def record(told: Sequence[Told]) -> None:
    """Store these once, and let them move their notifications on; those of emails that are not ours are stored only."""
    with transaction.atomic():
        DeliveryEvent.objects.bulk_create(
            [_row(event, raw) for event, raw in told], ignore_conflicts=True
        )
        evidence.saw([event.mail.timestamp for event, _ in told if event.kind == "Send"])
        found = _notifications([event for event, _ in told])
        accepted = [event for event, _ in told if _is_news(event, found.get(event.key))]
        if accepted:
            groups.end_holds([found[event.key].event_id for event in accepted])
        bad_news.follow((event, found[event.key]) for event, _ in told if event.key in found)
        bulk.raise_delivery(
            [
                (found[event.key].pk, status, event.moment)
                for event, _ in told
                if event.key in found and (status := event.status) is not None
            ]
        )
    for event, _ in told:
        _log(event, found.get(event.key))


def _record_together(told: Sequence[Told]) -> list[None]:
    writing.call(record, told)
    return [None] * len(told)


_records = Combined(_record_together, most=lambda: MAX_TOGETHER, linger_seconds=0.004)


def parsed(raw: dict[str, Any]) -> SesEvent:
    """What SES wrote, checked; raises BadData."""
    kind = raw.get("eventType")
    if not isinstance(kind, str):
        raise BadData("no eventType", code="UnknownSesEvent")
    name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
    try:
        return SesEvent.model_validate(raw | {"detail": raw.get(name) or {}})
    except ValidationError as exc:
        raise BadData(f"SES event {kind[:20]}: {summary(exc)}") from exc


def _row(event: SesEvent, raw: dict[str, Any]) -> DeliveryEvent:
    return DeliveryEvent(
        provider_message_id=event.mail.message_id,
        type=event.kind,
        recipient=event.recipient,
        happened_at=event.moment,
        raw=raw,
    )


def _notifications(told: Collection[SesEvent]) -> dict[Key, Notification]:
    """What these emails were sent for, by our own tags, or where there are none by SES's id."""
    tagged = _by(
        Notification.objects.filter(pk__in={event.key[0] for event in told if event.tags}),
        "pk",
    )
    untagged = {event.mail.message_id for event in told if not event.tags}
    by_message = (
        _by(Notification.objects.filter(provider_message_id__in=untagged), "provider_message_id")
        if untagged
        else {}
    )
    pairs = ((event.key, (tagged if event.tags else by_message)) for event in told)
    return {key: found[key[0]] for key, found in pairs if key[0] in found}


def _by(rows: QuerySet[Notification], field: str) -> dict[UUID | str, Notification]:
    """In one order everywhere, or two processes would wait for each other."""
    locked = rows.order_by("pk").select_for_update(no_key=True)
    few = locked.only("event_id", "event_type", "recipient", "state", "provider_message_id")
    return {getattr(row, field): row for row in few}


def _is_news(event: SesEvent, notification: Notification | None) -> bool:
    """That there is an event proves that SES accepted the email; mostly its sender has said so already."""
    if notification is None or not event.tags or _is_known(notification, event.mail.message_id):
        return False
    return states.accept(notification.pk, event.tags[1], event.mail.message_id)


def _is_known(notification: Notification, message_id: str) -> bool:
    return (
        notification.state == Notification.State.SENT
        and notification.provider_message_id == message_id
    )


def _log(event: SesEvent, notification: Notification | None) -> None:
    if notification is None:
        logger.info(
            "SES event of an email without a notification type=%s ses=%s",
            event.kind,
            event.mail.message_id,
        )
    else:
        logger.info(
            "ses event=%s type=%s ses=%s",
            notification.event_id,
            event.kind,
            event.mail.message_id,
        )
