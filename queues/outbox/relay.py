"""Publish what the outbox holds: claim rows, send them in batches side by side, settle each.

Any number of relays may run. The claim is committed before SQS is called; a relay that dies leaves a lease that
ends, and the rows are published again. Of a FIFO group only the oldest unpublished event can be claimed, so a
failed or lost send cannot let a later event overtake it.
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

from queues import backoff
from queues.aws import sns, sqs
from queues.errors import QueueUnavailable
from queues.failpoints import failpoint
from queues.models import OutboxEvent, in_state
from queues.models.sql import RandomUuid, due_in
from queues.outbox import batches, claims, fifo_heads
from queues.outbox.claims import Claimed

logger = logging.getLogger(__name__)

# All are sent at once, so none waits in a queue of ours while its lease runs out. Fewer would often wait for SQS's
# answers; with more, and some hundred FIFO groups, one relay would take the heads of all, and others wait for it.
CLAIM_ROWS = 250
# More at once would keep SQLite's one writer from others for long.
AGAIN_ROWS = 500
State = OutboxEvent.State

_AGAIN: dict[str, Any] = {
    "state": State.PENDING,
    "claim": None,
    "lease_until": None,
    "available_at": Now(),
    "error": "",
    "handled_at": None,
}
_NO_ANSWER = sqs.Unsent("SQS did not say what became of this entry", refused=False)


def publish_soon(pk: int, *, alias: str) -> None:
    """One bounded try for this row, in a thread of its own: the caller's response does not wait for SQS."""
    failpoint("after_commit")
    _publisher().submit(_publish_now, pk, alias).add_done_callback(_report)


def publish_pending() -> int:
    """Publish up to CLAIM_ROWS events of every queue; returns how many SQS took. The relay's step."""
    claims.release_expired()
    return sum(publish(_claim_next(alias), alias=alias) for alias in settings.QUEUES)


def publish(events: Sequence[Claimed], *, alias: str, hurried: bool = False) -> int:
    """Send claimed rows and settle each by what SQS answers for it; returns how many it took."""
    by_key = {str(event.pk): event for event in events}
    count = 0
    for destination, parts in _routes(events, alias):
        for answers in batches.side_by_side(destination, parts, hurried=hurried):
            count += _settle(by_key, answers)
    return count


def blocking() -> Q:
    """Events that keep those after them in their FIFO group from being published."""
    # The index is on just these states, so all of them are named.
    unfinished = in_state(*OutboxEvent.UNFINISHED)
    return unfinished if settings.FIFO_POISON == "hold" else unfinished & ~in_state(State.DEAD)


def publish_again(events: QuerySet[OutboxEvent]) -> int:
    """Put rows that wait for no relay back to pending; returns the count.

    What was sent stays sent: the event id is the same.
    """
    waiting = events.exclude(state__in=[State.PENDING, State.CLAIMED])
    count = 0
    while pks := list(waiting.order_by("pk").values_list("pk", flat=True)[:AGAIN_ROWS]):
        count += waiting.filter(pk__in=pks).update(deduplication_id=RandomUuid(), **_AGAIN)
    return count


def put_back(event: OutboxEvent, *, seconds: int = 0) -> bool:
    """Pending again after so many seconds, with a new deduplication id; False if the row changed meanwhile."""
    row = OutboxEvent.objects.filter(pk=event.pk, state=event.state)
    changes = {"deduplication_id": uuid.uuid4(), "available_at": due_in(timedelta(seconds=seconds))}
    return bool(row.update(**_AGAIN | changes))


def _publish_now(pk: int, alias: str) -> None:
    try:
        publish(_claimed(claims.take_these(alias, [pk])), alias=alias, hurried=True)
    finally:
        close_old_connections()


def _report(future: Future[None]) -> None:
    """Nobody waits for the result, so an error would be lost; the relay will publish the row."""
    if exc := future.exception():
        logger.error("not published on commit: %s", exc, exc_info=exc)


@cache
def _publisher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="publish-on-commit")


def _claim_next(alias: str) -> list[Claimed]:
    """On FIFO the heads of the next groups in turn: behind a long-waiting group there may be a million rows."""
    if not sqs.queue(alias).is_fifo:
        return _claimed(claims.take_oldest(alias, most=CLAIM_ROWS))
    turns = (claims.take_these(alias, page) for page in fifo_heads.pages(alias, size=CLAIM_ROWS))
    return _claimed(next(filter(None, turns), []))


def _claimed(events: list[Claimed]) -> list[Claimed]:
    if events:
        failpoint("after_outbox_claim")
    return events


def _routes(
    events: Sequence[Claimed], alias: str
) -> Iterator[tuple[batches.Destination, list[batches.Batch]]]:
    """To the topic, where settings name one, what is news; what is published again is for our own queue alone.

    The other subscribers have had it, and an email must not depend on what SNS does with it.
    """
    topic = sns.topic(alias)
    news = [event for event in events if topic and event.is_news]
    again = [event for event in events if not (topic and event.is_news)]
    if topic and news:
        yield topic, list(sqs.batches(map(_outgoing, news)))
    if again:
        yield sqs.queue(alias), list(sqs.batches(map(_outgoing, again)))


def _outgoing(event: Claimed) -> sqs.Outgoing:
    return sqs.Outgoing(
        key=str(event.pk),
        body=event.body,
        group=event.group,
        deduplication_id=event.deduplication_id,
        attributes={
            "event_id": event.event_id or sqs.NO_EVENT,
            "event_type": event.type,
            "traceparent": event.traceparent,
        },
    )


def _settle(by_key: Mapping[str, Claimed], answers: Iterable[batches.Answer]) -> int:
    """What SQS took by one UPDATE, anything else by one each; returns how many it took."""
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
    """The row, as far as its claim stands."""
    return OutboxEvent.objects.filter(pk=event.pk, claim=event.claim, state=State.CLAIMED)


def late(rows: QuerySet[OutboxEvent]) -> QuerySet[OutboxEvent]:
    """Events that should be in SQS by now and are not; those behind a held one or a dead letter wait rightly."""
    held = OutboxEvent.objects.filter(
        blocking() & ~in_state(State.PENDING, State.CLAIMED),
        queue=OuterRef("queue"),
        group=OuterRef("group"),
        id__lt=OuterRef("id"),
    )
    return rows.filter(
        # The index is on these states together.
        in_state(*OutboxEvent.UNFINISHED),
        ~Q(group__gt="") | ~Exists(held),
        state__in=[OutboxEvent.State.PENDING, OutboxEvent.State.CLAIMED],
        recorded_at__lt=timezone.now() - timedelta(seconds=LATE_SECONDS),
    )


# What is older and not published is stuck, or nothing is running that publishes.
LATE_SECONDS = 60
