"""Publish the events of the outbox: claim rows, send them in parallel batches, settle each.

Any number of relays may run. The claim is committed before the relay calls SQS; when a relay dies, its lease ends and
the rows are published again. In a FIFO group only the oldest unpublished event can be claimed, so a failed or lost send
cannot let a later event overtake it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from queues import backoff, characters
from queues.aws import sns, sqs
from queues.errors import QueueUnavailable
from queues.failpoints import failpoint
from queues.models import OutboxEvent, in_state
from queues.models.sql import RandomUuid, due_in
from queues.outbox import batches, claims
from queues.outbox.claims import Claimed

logger = logging.getLogger(__name__)

# All are sent at once, so none waits in this process while its lease runs out. With fewer, relays would often wait for
# SQS's answers; with more, and some hundred FIFO groups, one relay would take every head and the others would wait.
CLAIM_ROWS = 250
# With more rows in one UPDATE, others would wait long for SQLite's one writer.
AGAIN_ROWS = 500
# An event that is older and not published is stuck, or no relay is running.
LATE_SECONDS = 60
State = OutboxEvent.State

_AGAIN: dict[str, Any] = {
    "state": State.PENDING,
    "claim": None,
    "lease_until": None,
    "available_at": Now(),
    "error": "",
    "handled_at": None,
}
_NO_ANSWER = sqs.Unsent("SQS's answer does not name this entry", refused=False)


def publish_soon(pk: int, *, alias: str) -> None:
    """Try once, for a bounded time, to publish this row in another thread: the caller does not wait for SQS."""
    failpoint("after_commit")
    _publisher().submit(_publish_now, pk, alias).add_done_callback(_report)


def publish_pending(*, from_start: bool = False) -> int:
    """Publish up to CLAIM_ROWS events of every queue: one step of the relay. Returns how many SQS took.

    Without ``from_start`` it may leave due events of low ids to one of the next calls: see ``queues.outbox.looks``.
    """
    claims.release_expired(from_start=from_start)
    return sum(
        publish(_claim_next(alias, from_start=from_start), alias=alias) for alias in settings.QUEUES
    )


def publish(events: Sequence[Claimed], *, alias: str, hurried: bool = False) -> int:
    """Send claimed rows and settle each by SQS's answer for it; returns how many SQS took."""
    by_key = {str(event.pk): event for event in events}
    count = 0
    for destination, parts in _routes(events, alias):
        for answers in batches.side_by_side(destination, parts, hurried=hurried):
            count += _settle(by_key, answers)
    return count


def blocking() -> Q:
    """Select events that block the later ones of their FIFO group."""
    # The index covers exactly these states, so all of them are named.
    unfinished = in_state(*OutboxEvent.UNFINISHED)
    return unfinished if settings.FIFO_POISON == "hold" else unfinished & ~in_state(State.DEAD)


def publish_again(events: QuerySet[OutboxEvent]) -> int:
    """Set rows back to pending unless they already wait for a relay; returns how many.

    The event id stays, so an email that was sent is not sent again.
    """
    waiting = events.exclude(state__in=[State.PENDING, State.CLAIMED])
    count = 0
    while pks := list(waiting.order_by("pk").values_list("pk", flat=True)[:AGAIN_ROWS]):
        count += waiting.filter(pk__in=pks).update(deduplication_id=RandomUuid(), **_AGAIN)
    return count


def put_back(event: OutboxEvent, *, seconds: int = 0) -> bool:
    """Set the row to pending, due after ``seconds``, with a new deduplication id; False if it changed meanwhile."""
    row = OutboxEvent.objects.filter(pk=event.pk, state=event.state)
    changes = {"deduplication_id": uuid.uuid4(), "available_at": due_in(timedelta(seconds=seconds))}
    return bool(row.update(**_AGAIN | changes))


def late(rows: QuerySet[OutboxEvent]) -> QuerySet[OutboxEvent]:
    """Select events that should be in SQS by now; those behind a held one or a dead letter rightly wait."""
    held = OutboxEvent.objects.filter(
        blocking() & ~in_state(State.PENDING, State.CLAIMED),
        queue=OuterRef("queue"),
        group=OuterRef("group"),
        id__lt=OuterRef("id"),
    )
    return rows.filter(
        # The index covers exactly these states, so all of them are named.
        in_state(*OutboxEvent.UNFINISHED),
        ~Q(group__gt="") | ~Exists(held),
        state__in=[OutboxEvent.State.PENDING, OutboxEvent.State.CLAIMED],
        recorded_at__lt=timezone.now() - timedelta(seconds=LATE_SECONDS),
    )


def _publish_now(pk: int, alias: str) -> None:
    try:
        publish(_claimed(claims.take_these(alias, [pk])), alias=alias, hurried=True)
    finally:
        close_old_connections()


def _report(future: Future[None]) -> None:
    """Log an error, which would be lost because nobody waits for the result; the relay will publish the row."""
    if exc := future.exception():
        logger.error("not published on commit: %s", exc, exc_info=exc)


@cache
def _publisher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="publish-on-commit")


def _claim_next(alias: str, *, from_start: bool) -> list[Claimed]:
    take = claims.take_heads if sqs.queue(alias).is_fifo else claims.take_oldest
    return _claimed(take(alias, most=CLAIM_ROWS, from_start=from_start))


def _claimed(events: list[Claimed]) -> list[Claimed]:
    if events:
        failpoint("after_outbox_claim")
    return events


def _routes(
    events: Sequence[Claimed], alias: str
) -> Iterator[tuple[batches.Destination, list[batches.Batch]]]:
    """Send new events to the topic, if settings name one, and events published again to our own queue only.

    The other subscribers have had those, and an email must not depend on what SNS does with a repeat.
    """
    topic = sns.topic(alias)
    news = [event for event in events if topic and event.is_news]
    again = [event for event in events if not (topic and event.is_news)]
    if topic:
        yield topic, list(sqs.batches(map(_outgoing, news)))
    yield sqs.queue(alias), list(sqs.batches(map(_outgoing, again)))


def _outgoing(event: Claimed) -> sqs.Outgoing:
    return sqs.Outgoing(
        key=str(event.pk),
        # Rows of an earlier release, and edited dead letters, may have characters that SQS refuses.
        body=characters.escaped(event.body),
        group=event.group,
        deduplication_id=event.deduplication_id,
        attributes={
            "event_id": event.event_id or sqs.NO_EVENT,
            "event_type": event.type,
            "traceparent": event.traceparent,
        },
    )


def _settle(by_key: Mapping[str, Claimed], answers: Iterable[batches.Answer]) -> int:
    """Settle the events that SQS took with one UPDATE, the others with one each; returns how many it took."""
    taken: list[tuple[Claimed, str]] = []
    for answer in answers:
        events = [by_key[message.key] for message in answer.batch]
        if answer.error:
            _release_all(events, answer.error)
            continue
        failpoint("after_publish")
        for event in events:
            if (message_id := answer.sent.get(str(event.pk))) is not None:
                taken.append((event, message_id))
            else:
                _settle_failure(event, answer.failed.get(str(event.pk), _NO_ANSWER))
    if taken:
        _settle_taken(taken)
    return len(taken)


def _settle_taken(taken: Sequence[tuple[Claimed, str]]) -> None:
    claims.settle(taken[0][0].claim, {event.pk: message_id for event, message_id in taken})
    for event, message_id in taken:
        logger.info(
            "published event=%s queue=%s message=%s", event.event_id, event.queue, message_id
        )


def _settle_failure(event: Claimed, failure: sqs.Unsent) -> None:
    if not failure.refused:
        logger.warning("not published event=%s: %s", event.event_id, failure.reason)
        _release(event, failure.reason)
        return
    logger.error("refused by SQS event=%s: %s", event.event_id, failure.reason)
    _held(event).update(state=State.REFUSED, claim=None, lease_until=None, error=failure.reason)


def _release_all(events: Sequence[Claimed], error: QueueUnavailable) -> None:
    logger.warning("not published queue=%s count=%d: %s", events[0].queue, len(events), error)
    for event in events:
        _release(event, str(error))


def _release(event: Claimed, reason: str) -> None:
    wait = timedelta(seconds=backoff.delay(event.tries))
    _held(event).update(
        state=State.PENDING, claim=None, lease_until=None, available_at=Now() + wait, error=reason
    )


def _held(event: Claimed) -> QuerySet[OutboxEvent]:
    """Select the event's row if its claim still stands."""
    return OutboxEvent.objects.filter(pk=event.pk, claim=event.claim, state=State.CLAIMED)
