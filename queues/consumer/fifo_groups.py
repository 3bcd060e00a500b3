"""The order of a FIFO group, kept when one of its events cannot be finished.

Such an event is *held*: its message is deleted, its outbox row waits, and what comes after it in its group is parked:
put back into the outbox, where the relay lets it follow. A row keeps its place, so an event that is published again
comes before what waited for it. Nothing of this burns a receive.

With ``FIFO_POISON=hold`` a dead letter holds its group in the same way, until it is redriven or discarded.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import BigAutoField, F, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Now

from queues.aws.sqs import Queue, Received
from queues.dead_letters import collecting
from queues.events.envelope import envelope_fields
from queues.models import OutboxEvent, in_state
from queues.outbox import recording, relay

logger = logging.getLogger(__name__)

State = OutboxEvent.State

# Spelt out as in the indexes, or SQLite would not use them. The limit is a row's own id; beyond all where it has none.
_UNFINISHED = """\
SELECT EXISTS (SELECT 1 FROM queues_outboxevent
               WHERE state IN ('pending', 'claimed', 'held', 'dead') AND queue = %s AND "group" = %s AND id < own.id)
    OR EXISTS (SELECT 1 FROM queues_outboxevent
               WHERE state = 'published' AND queue = %s AND "group" = %s AND id < own.id)
FROM (SELECT COALESCE(MAX(id), 9223372036854775807) AS id FROM queues_outboxevent
      WHERE event_id = %s AND queue = %s) AS own"""


def hold(queue: Queue, message: Received, *, reason: str) -> None:
    """Let the group wait for this event; the caller deletes the message afterwards."""
    row = recording.rows_of(queue, message).first() or recording.adopt(
        queue, message, state=State.HELD
    )
    OutboxEvent.objects.filter(pk=row.pk).update(
        state=State.HELD, claim=None, lease_until=None, error=reason
    )
    logger.warning("held event=%s group=%s: %s", row.event_id, row.group, reason)


def held() -> set[UUID]:
    """The events that hold their groups by ``hold``."""
    rows = OutboxEvent.objects.filter(in_state(State.HELD)).values_list("event_id", flat=True)
    return {event_id for event_id in rows if event_id}


def end_holds(event_ids: Collection[UUID]) -> int:
    """Publish these again, each before what waits for it; returns how many were held."""
    return relay.publish_again(OutboxEvent.objects.filter(event_id__in=event_ids, state=State.HELD))


def must_wait(queue: Queue, message: Received) -> bool:
    """Whether an earlier event of the group comes first; then this one is in the outbox, and its message is done.

    May raise QueueUnavailable with ``FIFO_POISON=hold``.
    """
    if not (_has_unfinished(queue, message) and _has_predecessor(queue, message)):
        return False
    row = recording.rows_of(queue, message).first() or recording.adopt(
        queue, message, state=State.PENDING
    )
    if row.state == State.HANDLED:
        return False
    if row.state not in (State.PENDING, State.HELD):
        relay.put_back(row)
    logger.info("parked event=%s group=%s message=%s", row.event_id, row.group, message.id)
    return True


def _has_unfinished(queue: Queue, message: Received) -> bool:
    """Whether anything before it in its group might come first: mostly nothing, which one short question tells.

    Written out: it is asked for every message.
    """
    event_id = envelope_fields(message.body).id
    if event_id is None:
        return True
    own = OutboxEvent._meta.get_field("event_id").get_db_prep_value(event_id, connection)
    group = [queue.alias, message.group]
    with connection.cursor() as cursor:
        cursor.execute(_UNFINISHED, [*group, *group, own, queue.alias])
        return bool(cursor.fetchone()[0])


def _has_predecessor(queue: Queue, message: Received) -> bool:
    earlier = _earlier(queue, message)
    if earlier.filter(relay.blocking()).exists():
        return True
    published = earlier.filter(in_state(State.PUBLISHED))
    row = recording.rows_of(queue, message).first()
    if row is not None and settings.FIFO_POISON == "hold":
        return _found_gone(queue, published, row.published_at or Now())
    if row is not None and row.published_at is not None and _is_latest(row, message):
        return published.filter(published_at__gt=row.published_at).exists()
    # An older copy, or not of our outbox. What was published once only is before it in SQS, and so done or dead.
    return published.exclude(deduplication_id=F("event_id")).exists()


def _is_latest(row: OutboxEvent, message: Received) -> bool:
    """Whether this message is what the row was last published as; of one by a topic we know no id of SQS."""
    deduplication_id = message.attributes.get("MessageDeduplicationId", "").replace("-", "")
    return row.sqs_message_id == message.id or deduplication_id == row.deduplication_id.hex


def _found_gone(queue: Queue, published: QuerySet[OutboxEvent], since: datetime | Now) -> bool:
    """SQS gives nothing of a group while an earlier message is there: one that was not handled is dead, or lost.

    A message that ends its process with its last receive dies unseen, until it is collected. One that was published
    again comes behind this one.
    """
    if not published.exists():
        return False
    gone = published.filter(published_at__lte=since)
    if gone.exists():
        collecting.collect(queue.alias)
        relay.publish_again(gone)
    return True


def _earlier(queue: Queue, message: Received) -> QuerySet[OutboxEvent]:
    """Rows of the group before this event's own; all of other events, where it has none."""
    own = Coalesce(
        Subquery(recording.rows_of(queue, message).values("id")[:1]),
        Value(BigAutoField.MAX_BIGINT),
        output_field=BigAutoField(),
    )
    return OutboxEvent.objects.filter(queue=queue.alias, group=message.group, id__lt=own)
