"""Record each SES event from the events queue once, and update the notification it is about.

Payload: see ``emails.reports.ses_events``. SNS's wrapper (without raw delivery) is removed before it comes here.
Any of these events proves that SES accepted the email.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from emails.models import DeliveryEvent, Notification
from emails.reports import consequences, delivery_status, evidence, orphans
from emails.reports.ses_events import Key, SesEvent, is_ignored, narrowed, parsed
from emails.sending import states
from queues.consumer import fifo_groups
from queues.events.envelope import cleaned_object
from queues.registry import reads
from queues.threads import writer
from queues.threads.group_commit import GroupCommit

logger = logging.getLogger(__name__)

# SES sends this plain text once, when an event destination is made.
_GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
# The most events in one transaction.
MAX_TOGETHER = 64

# An event, and the JSON that SES wrote.
Told = tuple[SesEvent, dict[str, Any]]


@reads("ses-events")
def take(body: str) -> None:
    """Record one message of the events queue; raises BadEnvelope or BadData if SES cannot have sent it.

    The JSON is stored as SES wrote it, but for what no database stores: see ``cleaned_object``.
    """
    if body.strip() == _GREETING:
        logger.info("SES can publish to the events topic")
        return
    raw = cleaned_object(body)
    if is_ignored(raw):
        logger.info("ignored what SES tells of no email")
        return
    with _records.coming():
        event = parsed(raw)
    _records((event, raw))


def record(told: Sequence[Told]) -> None:
    """Store these events once and update their notifications; events of emails that are not ours are only stored."""
    with transaction.atomic():
        delivery_status.insert_events([_row(event, raw) for event, raw in told])
        evidence.saw(
            [at for event, _ in told if event.kind == "Send" and (at := event.mail.timestamp)]
        )
        found = _notifications([event for event, _ in told])
        accepted = [event for event, _ in told if _is_news(event, found.get(event.key))]
        if accepted:
            fifo_groups.end_holds([found[event.key].event_id for event in accepted])
        ours = narrowed((event, found[event.key]) for event, _ in told if event.key in found)
        consequences.follow(ours)
        delivery_status.raise_delivery([(owner.pk, event) for event, owner in ours])
        orphans.mark([event for event, _ in told if event.key not in found])
    for event, _ in told:
        _log(event, found.get(event.key))


def _record_together(told: Sequence[Told]) -> list[None]:
    writer.call(record, told)
    return [None] * len(told)


_records = GroupCommit(_record_together, most=lambda: MAX_TOGETHER, linger_seconds=0.004)


def _row(event: SesEvent, raw: dict[str, Any]) -> DeliveryEvent:
    return DeliveryEvent(
        provider_message_id=event.mail.message_id,
        type=event.kind,
        recipient=event.recipient,
        happened_at=event.moment,
        raw=raw,
    )


def _notifications(told: Collection[SesEvent]) -> dict[Key, Notification]:
    """Find the notifications of these events by our tags, or by SES's message id if there are no tags."""
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
    """Lock the rows in the order of their keys, so that two processes cannot deadlock, and index them by a field."""
    locked = rows.order_by("pk").select_for_update(no_key=True)
    few = locked.only("event_id", "event_type", "recipient", "state", "provider_message_id")
    return {getattr(row, field): row for row in few}


def _is_news(event: SesEvent, notification: Notification | None) -> bool:
    """Mark the email as accepted, as any event proves; returns False if that was known, as it mostly is."""
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
