"""Record events in the caller's transaction, so that none is lost or invented."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from queues import relay
from queues.events import Event
from queues.models import OutboxEvent

logger = logging.getLogger(__name__)


def record(event: Event) -> OutboxEvent:
    """Store the event; it becomes visible, and is published, when the caller's transaction commits.

    Raises RuntimeError outside ``transaction.atomic()`` and EventTooLarge over 64 KiB. Events of one
    group must be recorded under a lock of the caller's on what the group stands for (the account row),
    or their ids are not in commit order.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("outbox.record() must be called inside transaction.atomic()")
    row = OutboxEvent.objects.create(
        event_id=event.id,
        deduplication_id=event.id,
        traceparent=event.traceparent or "",
        type=event.type,
        subject=event.subject,
        queue=event.queue,
        group=event.partitionkey,
        body=event.to_json(),
        available_at=timezone.now(),
    )
    logger.info("recorded event=%s type=%s subject=%s", event.id, event.type, event.subject)
    if settings.OUTBOX_PUBLISH_ON_COMMIT:
        transaction.on_commit(lambda: relay.publish_soon(row.pk), robust=True)
    return row
