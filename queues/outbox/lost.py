"""Publish events again that SQS lost, so that no event exists only in SQS."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from queues.aws import sqs
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, in_state
from queues.outbox import relay

logger = logging.getLogger(__name__)


def republish_lost(alias: str) -> int:
    """Publish events again that were published long ago, were never handled and are no longer in the queue.

    A queue with messages may only be slow, and a backlog that is published again would grow for ever. So in such a
    queue only events that much later ones have overtaken count as lost. An event with an open dead letter waits for a
    person. Raises QueueUnavailable.
    """
    lost, buried = _unanswered(alias), _buried(alias)
    if not (lost.exists() or buried.exists()) or not _is_empty(sqs.dead_letter_queue(alias)):
        return 0
    if _is_empty(sqs.queue(alias)):
        count = relay.publish_again(buried) + relay.publish_again(lost)
    else:
        count = relay.publish_again(_overtaken(lost, alias))
    if count:
        logger.warning("published again what SQS lost queue=%s count=%d", alias, count)
    return count


def _unanswered(alias: str) -> QuerySet[OutboxEvent]:
    return OutboxEvent.objects.filter(
        in_state(OutboxEvent.State.PUBLISHED), queue=alias, published_at__lt=_stale()
    ).exclude(_has_open_letter())


def _buried(alias: str) -> QuerySet[OutboxEvent]:
    """Select events marked dead before SQS moved their message, which SQS may have lost in between.

    There are such only where a dead letter holds its FIFO group.
    """
    if settings.FIFO_POISON != "hold" or not sqs.queue(alias).is_fifo:
        return OutboxEvent.objects.none()
    # The index covers exactly these states, so all of them are named.
    return (
        OutboxEvent.objects.filter(in_state(*OutboxEvent.UNFINISHED), queue=alias)
        .filter(state=OutboxEvent.State.DEAD, recorded_at__lt=_stale())
        .exclude(published_at__gt=_stale())
        .exclude(_has_open_letter())
    )


def _stale() -> CombinedExpression:
    return Now() - timedelta(seconds=settings.OUTBOX_STALE_SECONDS)


def _has_open_letter() -> Exists:
    """Match an open dead letter by event id, or by SQS's message id if there is no event."""
    same = Q(event_id=OuterRef("event_id")) | Q(
        event_id=None, queue=OuterRef("queue"), sqs_message_id=OuterRef("sqs_message_id")
    )
    return Exists(DeadLetter.objects.filter(same, state=DeadLetter.State.OPEN))


def _overtaken(lost: QuerySet[OutboxEvent], alias: str) -> QuerySet[OutboxEvent]:
    """Select events that SQS should have delivered by now; one that was received and failed is still in the queue."""
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
