"""Keep the order of a FIFO group when one of its events cannot be finished.

Such an event is *held*: its message is deleted and its outbox row waits. Later events of its group are *parked*: put
back into the outbox, where the relay publishes them after it. A row keeps its place, so an event that is published
again comes before those that waited for it. None of this costs a message a receive.

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

# The states are written out as in the indexes, or SQLite would not use them. Only rows with a lower id than the event's
# own row count; if it has no row, all of them do.
_UNFINISHED = """\
SELECT EXISTS (SELECT 1 FROM queues_outboxevent
               WHERE state IN ('pending', 'claimed', 'held', 'dead') AND queue = %s AND "group" = %s AND id < own.id)
    OR EXISTS (SELECT 1 FROM queues_outboxevent
               WHERE state = 'published' AND queue = %s AND "group" = %s AND id < own.id)
FROM (SELECT COALESCE(MAX(id), 9223372036854775807) AS id FROM queues_outboxevent
      WHERE event_id = %s AND queue = %s) AS own"""


def hold(queue: Queue, message: Received, *, reason: str) -> None:
    """Make the FIFO group wait for this event; the caller deletes the message afterwards."""
    row = recording.rows_of(queue, message).first() or recording.adopt(
        queue, message, state=State.HELD
    )
    OutboxEvent.objects.filter(pk=row.pk).update(
        state=State.HELD, claim=None, lease_until=None, error=reason
    )
    logger.warning("held event=%s group=%s: %s", row.event_id, row.group, reason)


def held() -> set[UUID]:
    """Return the ids of the events that ``hold`` made their groups wait for."""
    rows = OutboxEvent.objects.filter(in_state(State.HELD)).values_list("event_id", flat=True)
    return {event_id for event_id in rows if event_id}


def end_holds(event_ids: Collection[UUID]) -> int:
    """Publish held events again, each before those that wait for it; returns how many were held."""
    return relay.publish_again(OutboxEvent.objects.filter(event_id__in=event_ids, state=State.HELD))


def must_wait(queue: Queue, message: Received) -> bool:
    """Return True if an earlier event of the group must come first.

    Then this event waits in the outbox and the caller deletes its message. May raise QueueUnavailable with
    ``FIFO_POISON=hold``.
    """
    if not (_has_unfinished(queue, message) and _has_predecessor(queue, message)):
        return False
    row = recording.rows_of(queue, message).first() or recording.adopt(
        queue, message, state=State.PENDING
    )
    # A pending row needs a new deduplication id too: if its relay died after SQS took the event, SQS would drop the old
    # one, and later events of the group would overtake this one.
    while row.state not in (State.HANDLED, State.HELD) and not relay.put_back(row):
        row.refresh_from_db()
    if row.state == State.HANDLED:
        return False
    logger.info("parked event=%s group=%s message=%s", row.event_id, row.group, message.id)
    return True


def _has_unfinished(queue: Queue, message: Received) -> bool:
    """Return False if one short query shows that no earlier event of the group can come first, as for most messages.

    The SQL is written by hand because it runs for every message.
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
    # This is an older copy, or not from our outbox. Events published only once came before it in SQS, so they are done
    # or dead.
    return published.exclude(deduplication_id=F("event_id")).exists()


def _is_latest(row: OutboxEvent, message: Received) -> bool:
    """Return True if the row was last published as this message; after a topic only deduplication ids can match."""
    deduplication_id = message.attributes.get("MessageDeduplicationId", "").replace("-", "")
    return row.sqs_message_id == message.id or deduplication_id == row.deduplication_id.hex


def _found_gone(queue: Queue, published: QuerySet[OutboxEvent], since: datetime | Now) -> bool:
    """Publish earlier events of the group again that SQS no longer has; returns True if this event must wait.

    SQS delivers nothing of a group while an earlier message is there, so an earlier event that was not handled is dead
    or lost. A message that ends its process with its last receive is dead without a record until it is collected. An
    earlier event that was published again after this one comes behind it in SQS.
    """
    if not published.exists():
        return False
    gone = published.filter(published_at__lte=since)
    if gone.exists():
        collecting.collect(queue.alias)
        relay.publish_again(gone)
    return True


def _earlier(queue: Queue, message: Received) -> QuerySet[OutboxEvent]:
    """Select the group's rows before this event's own row; all its rows if the event has none."""
    own = Coalesce(
        Subquery(recording.rows_of(queue, message).values("id")[:1]),
        Value(BigAutoField.MAX_BIGINT),
        output_field=BigAutoField(),
    )
    return OutboxEvent.objects.filter(queue=queue.alias, group=message.group, id__lt=own)
