"""Record events in the caller's transaction, so that none is lost or invented."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from queues.aws import sqs
from queues.events.envelope import Event, envelope_fields
from queues.failpoints import failpoint
from queues.models import OutboxEvent
from queues.models.sql import due_in
from queues.outbox import relay
from queues.uuid7 import uuid7

logger = logging.getLogger(__name__)


def record(event: Event) -> OutboxEvent:
    """Store the event; it becomes visible, and is published, when the caller's transaction commits.

    Raises RuntimeError outside ``transaction.atomic()`` and EventTooLarge over 64 KiB. To record events of one group,
    the caller must hold a lock on what the group stands for (the account row), or their ids are not in commit order.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("outbox.record() must be called inside transaction.atomic()")
    row = _store(event, deduplication_id=event.id)
    failpoint("before_commit")
    logger.info("recorded event=%s type=%s subject=%s", event.id, event.type, event.subject)
    return row


def record_again(event: Event, *, is_corrected: bool = False) -> OutboxEvent:
    """Record an event again that was recorded before, here or elsewhere, and must be handled once more.

    The event id stays, so an email that was sent is not sent again. The deduplication id is new, because SQS drops a
    repeated one. ``is_corrected`` says that the event's data has changed, also for the row of a FIFO queue.
    """
    same = OutboxEvent.objects.filter(queue=event.queue, event_id=event.id)
    changes = {"body": event.to_json()} if is_corrected else {}
    row = at_its_place(same, alias=event.queue, **changes)
    if row is None:
        row = _store(event, deduplication_id=uuid7())
    else:
        publish_on_commit(row)
    logger.info("recorded again event=%s type=%s subject=%s", event.id, event.type, event.subject)
    return row


def adopt(
    queue: sqs.Queue, message: sqs.Received, *, state: OutboxEvent.State, seconds: int = 0
) -> OutboxEvent:
    """Make a row for a message whose producer does not use this outbox; it is due after ``seconds``."""
    fields = envelope_fields(message.body)
    return OutboxEvent.objects.create(
        event_id=fields.id,
        type=fields.type,
        subject=fields.subject,
        queue=queue.alias,
        group=message.group,
        body=message.body,
        state=state,
        available_at=due_in(timedelta(seconds=seconds)),
        sqs_message_id=message.id,
    )


def rows_of(queue: sqs.Queue, message: sqs.Received) -> QuerySet[OutboxEvent]:
    """Find the outbox rows of the event in this message, newest first."""
    rows = OutboxEvent.objects.carried_by(
        queue.alias, event_id=envelope_fields(message.body).id, sqs_message_id=message.id
    )
    return rows.order_by("-id")


def at_its_place(rows: QuerySet[OutboxEvent], *, alias: str, **changes: Any) -> OutboxEvent | None:
    """Change the newest of these rows of a FIFO queue and publish it again; None if there is none.

    An event that is published from its own row keeps its place before later events of its group that still wait.
    """
    row = rows.order_by("-id").first() if sqs.queue(alias).is_fifo else None
    if row is None:
        return None
    if changes:
        rows.filter(pk=row.pk).update(**changes)
    # Also if it is pending or claimed: its relay may have died after SQS took it, and SQS drops a repeated id.
    while not relay.put_back(row):
        row.refresh_from_db()
    return row


def _store(event: Event, *, deduplication_id: uuid.UUID) -> OutboxEvent:
    row = OutboxEvent.objects.create(
        event_id=event.id,
        deduplication_id=deduplication_id,
        traceparent=event.traceparent or "",
        type=event.type,
        subject=event.subject,
        queue=event.queue,
        group=event.partitionkey,
        body=event.to_json(),
        available_at=Now(),
    )
    publish_on_commit(row)
    return row


def publish_on_commit(row: OutboxEvent) -> None:
    """Publish the row as soon as the transaction commits, if OUTBOX_PUBLISH_ON_COMMIT allows it."""
    if settings.OUTBOX_PUBLISH_ON_COMMIT:
        transaction.on_commit(lambda: relay.publish_soon(row.pk, alias=row.queue), robust=True)
