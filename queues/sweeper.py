"""Make good what SQS lost: nothing waits only there."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from queues import registry, relay, sqs
from queues.errors import QueueUnavailable
from queues.models import DeadLetter, OutboxEvent

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

    A queue with messages may only be slow, and a backlog that is published again grows for ever. An event with
    an open dead letter waits for a person. Raises QueueUnavailable.
    """
    lost = OutboxEvent.objects.filter(
        queue=alias,
        state=OutboxEvent.State.PUBLISHED,
        published_at__lt=Now() - timedelta(seconds=settings.OUTBOX_STALE_SECONDS),
    ).exclude(
        Exists(
            DeadLetter.objects.filter(event_id=OuterRef("event_id"), state=DeadLetter.State.OPEN)
        )
    )
    if not lost.exists() or not (
        _is_empty(sqs.queue(alias)) and _is_empty(sqs.dead_letter_queue(alias))
    ):
        return 0
    count = relay.publish_again(lost)
    logger.warning("published again what SQS lost queue=%s count=%d", alias, count)
    return count


def _is_empty(queue: sqs.Queue) -> bool:
    depth = queue.depth()
    return depth.visible + depth.in_flight + depth.delayed == 0
