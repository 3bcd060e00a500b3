"""Make good what SQS lost: nothing waits only there."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from queues import registry, relay, sqs
from queues.errors import QueueUnavailable
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, in_state

logger = logging.getLogger(__name__)


def sweep() -> int:
    """Run every step once; returns 0, so that the next round waits its turn.

    A step that AWS does not answer must not keep the others from running: a probe, a journal, a doubt.
    """
    steps = registry.sweep_steps() + [partial(republish_lost, alias) for alias in settings.QUEUES]
    for step in steps:
        try:
            step()
        except QueueUnavailable as exc:
            logger.error("sweep step failed: %s", exc)
    return 0


def republish_lost(alias: str) -> int:
    """Publish again what was published long ago and never handled, where the queue has nothing left of it.

    A queue with messages may only be slow, and a backlog that is published again grows for ever: of such a queue
    only what much later events have overtaken is lost. An event with an open dead letter waits for a person.
    Raises QueueUnavailable.
    """
    lost: QuerySet[OutboxEvent] = OutboxEvent.objects.filter(
        in_state(OutboxEvent.State.PUBLISHED),
        queue=alias,
        published_at__lt=Now() - timedelta(seconds=settings.OUTBOX_STALE_SECONDS),
    ).exclude(
        Exists(
            DeadLetter.objects.filter(event_id=OuterRef("event_id"), state=DeadLetter.State.OPEN)
        )
    )
    if not lost.exists() or not _is_empty(sqs.dead_letter_queue(alias)):
        return 0
    if not _is_empty(sqs.queue(alias)):
        lost = _overtaken(lost, alias)
    count = relay.publish_again(lost)
    if count:
        logger.warning("published again what SQS lost queue=%s count=%d", alias, count)
    return count


def _overtaken(lost: QuerySet[OutboxEvent], alias: str) -> QuerySet[OutboxEvent]:
    """Those that would have been received by now; what was received and failed is still in the queue."""
    handled = OutboxEvent.objects.filter(
        queue=alias, state=OutboxEvent.State.HANDLED, published_at__isnull=False
    )
    newest = handled.order_by("-id").values_list("published_at", flat=True).first()
    if newest is None:
        return lost.none()
    failed = HandlingFailure.objects.filter(queue=alias, event_id=OuterRef("event_id"))
    return lost.filter(
        published_at__lt=newest - timedelta(seconds=settings.OUTBOX_STALE_SECONDS)
    ).exclude(Exists(failed))


def _is_empty(queue: sqs.Queue) -> bool:
    depth = queue.depth()
    return depth.visible + depth.in_flight + depth.delayed == 0
