"""Publish what the outbox holds: claim rows, send them, settle each.

Any number of relays may run. The claim is committed before SQS is called; a relay that dies leaves a lease that
ends, and the rows are published again. Of a FIFO group only the oldest unpublished event can be claimed, so a
failed or lost send cannot let a later event overtake it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import close_old_connections, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from queues import backoff, sqs
from queues.errors import QueueUnavailable
from queues.failpoints import failpoint
from queues.models import OutboxEvent

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30
State = OutboxEvent.State

_NO_ANSWER = sqs.Unsent("SQS did not say what became of this entry", refused=False)


def publish_soon(pk: int) -> None:
    """One bounded try for this row, in a thread of its own: the caller's response does not wait for SQS."""
    failpoint("after_commit")
    _publisher().submit(_publish_now, pk).add_done_callback(_report)


def publish_pending() -> int:
    """Publish one batch of every queue; returns how many events SQS took. The relay's step."""
    release_expired()
    return sum(publish(_claim(pending(alias)), alias=alias) for alias in settings.QUEUES)


def publish(events: Sequence[OutboxEvent], *, alias: str, hurried: bool = False) -> int:
    """Send claimed rows and settle each by what SQS answers for it; returns how many it took."""
    by_key = {str(event.pk): event for event in events}
    count = 0
    for batch in sqs.batches(_outgoing(event) for event in events):
        rows = [by_key[message.key] for message in batch]
        try:
            sent, failed = sqs.queue(alias).send_batch(batch, hurried=hurried)
        except QueueUnavailable as exc:
            logger.warning("not published queue=%s count=%d: %s", alias, len(batch), exc)
            for event in rows:
                _release(event, str(exc))
            continue
        failpoint("after_publish")
        for event in rows:
            if (message_id := sent.get(str(event.pk))) is not None:
                _settle(event, message_id)
                count += 1
            else:
                _settle_failure(event, failed.get(str(event.pk), _NO_ANSWER))
    return count


def pending(alias: str) -> QuerySet[OutboxEvent]:
    """Rows of a queue that may be published now; on FIFO only the head of each group."""
    rows = OutboxEvent.objects.filter(queue=alias, state=State.PENDING, available_at__lte=Now())
    if not sqs.queue(alias).is_fifo:
        return rows
    older = OutboxEvent.objects.filter(
        blocking(), queue=alias, group=OuterRef("group"), id__lt=OuterRef("id")
    )
    return rows.exclude(Exists(older))


def blocking() -> Q:
    """Events that keep those after them in their FIFO group from being published."""
    # The index is on just these states, so all of them are named.
    unfinished = Q(state__in=OutboxEvent.UNFINISHED)
    return unfinished if settings.FIFO_POISON == "hold" else unfinished & ~Q(state=State.DEAD)


def publish_again(events: QuerySet[OutboxEvent]) -> int:
    """Put rows that wait for no relay back to pending; returns the count.

    What was sent stays sent: the event id is the same.
    """
    return sum(
        put_back(event) for event in events.exclude(state__in=[State.PENDING, State.CLAIMED])
    )


def put_back(event: OutboxEvent) -> bool:
    """Pending again, with a new deduplication id; False if the row changed meanwhile."""
    return bool(
        OutboxEvent.objects.filter(pk=event.pk, state=event.state).update(
            state=State.PENDING,
            deduplication_id=uuid.uuid4(),
            claim=None,
            lease_until=None,
            available_at=Now(),
            error="",
            handled_at=None,
        )
    )


def release_expired() -> int:
    """Rows whose relay died come back; returns how many."""
    return OutboxEvent.objects.filter(state=State.CLAIMED, lease_until__lt=Now()).update(
        state=State.PENDING, claim=None, lease_until=None
    )


def _publish_now(pk: int) -> None:
    try:
        event = OutboxEvent.objects.get(pk=pk)
        publish(_claim(pending(event.queue).filter(pk=pk)), alias=event.queue, hurried=True)
    finally:
        close_old_connections()


def _report(future: Future[None]) -> None:
    """Nobody waits for the result, so an error would be lost; the relay will publish the row."""
    if exc := future.exception():
        logger.error("not published on commit: %s", exc, exc_info=exc)


@cache
def _publisher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="publish-on-commit")


def _claim(rows: QuerySet[OutboxEvent]) -> list[OutboxEvent]:
    """Take up to ten rows. Other relays skip what is locked here and, later, what is claimed."""
    claim = uuid.uuid4()
    with transaction.atomic():
        locked = rows.order_by("id").select_for_update(skip_locked=True, of=("self",))
        pks = list(locked.values_list("pk", flat=True)[: sqs.BATCH_ENTRIES])
        if not pks:
            return []
        OutboxEvent.objects.filter(pk__in=pks, state=State.PENDING).update(
            state=State.CLAIMED,
            claim=claim,
            lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
            tries=F("tries") + 1,
        )
    failpoint("after_outbox_claim")
    return list(OutboxEvent.objects.filter(claim=claim).order_by("id"))


def _outgoing(event: OutboxEvent) -> sqs.Outgoing:
    return sqs.Outgoing(
        key=str(event.pk),
        body=event.body,
        group=event.group,
        deduplication_id=str(event.deduplication_id),
        attributes={
            "event_id": str(event.event_id or ""),
            "event_type": event.type,
            "traceparent": event.traceparent,
        },
    )


def _held(event: OutboxEvent) -> QuerySet[OutboxEvent]:
    """The row, as long as our claim on it stands."""
    return OutboxEvent.objects.filter(pk=event.pk, claim=event.claim, state=State.CLAIMED)


def _settle(event: OutboxEvent, message_id: str) -> None:
    _held(event).update(
        state=State.PUBLISHED,
        claim=None,
        lease_until=None,
        published_at=Now(),
        sqs_message_id=message_id,
        error="",
    )
    logger.info("published event=%s queue=%s message=%s", event.event_id, event.queue, message_id)


def _settle_failure(event: OutboxEvent, failure: sqs.Unsent) -> None:
    if not failure.refused:
        logger.warning("not published event=%s: %s", event.event_id, failure.reason)
        _release(event, failure.reason)
        return
    logger.error("refused by SQS event=%s: %s", event.event_id, failure.reason)
    _held(event).update(state=State.REFUSED, claim=None, lease_until=None, error=failure.reason)


def _release(event: OutboxEvent, reason: str) -> None:
    wait = timedelta(seconds=backoff.delay(event.tries))
    _held(event).update(
        state=State.PENDING, claim=None, lease_until=None, available_at=Now() + wait, error=reason
    )
