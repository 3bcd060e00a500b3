"""Handle one message, and decide whether it is deleted or comes back; no other module decides that."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from queues import backoff, registry
from queues.aws.sqs import NO_EVENT, Queue, Received
from queues.consumer import fifo_groups
from queues.consumer.retry_in_place import OUTAGES
from queues.dead_letters import collecting
from queues.errors import GiveBack, Hold, Reject, Retry
from queues.events import foreign, tracing
from queues.events.envelope import Event, envelope_fields
from queues.failpoints import failpoint
from queues.models import HandlingFailure, OutboxEvent
from queues.models.sql import moment
from queues.outbox import claims
from queues.threads import writer

logger = logging.getLogger(__name__)


# Written by hand: the ORM would compile it anew for every few messages.
_MARK_HANDLED = """\
UPDATE "queues_outboxevent" SET "state" = 'handled', "handled_at" = {now}, "claim" = NULL, "lease_until" = NULL,
    "published_at" = COALESCE("published_at", CASE "state" WHEN 'claimed' THEN {claimed_at} END)
WHERE {which}"""
_WHICH = {
    "sqlite": '"event_id" IN (SELECT value FROM JSON_EACH(%s)) AND "state" <> \'handled\'',
    # Locked in the order of their keys first: two processes that change the same rows must not wait for each other.
    "postgresql": """\
"id" = ANY (ARRAY(SELECT "id" FROM "queues_outboxevent" WHERE "event_id" = ANY (
    ARRAY(SELECT CAST(value AS uuid) FROM json_array_elements_text(%s)))
    AND "state" <> 'handled' ORDER BY "id" FOR NO KEY UPDATE))""",
}


@dataclass(frozen=True)
class Disposition:
    """The decision to delete the message or to let it come back after ``hide_seconds``.

    ``given_back`` means that it was not worked on. ``event_id`` is the handled event: the caller passes it to
    ``mark_handled`` before the delete.
    """

    delete: bool
    hide_seconds: int = 0
    given_back: bool = False
    event_id: UUID | None = None


Work = Callable[[], Event | None]


def handle(queue: Queue, message: Received) -> Disposition:
    """Run the handlers and say what to do with the message, which must not be deleted before.

    Raises only ``retry_in_place.OUTAGES``: the database failed, and the caller must call this again.
    """
    note(queue, message)
    return finish(queue, message)


def note(queue: Queue, message: Received) -> None:
    """Write the line of a message that was received."""
    logger.info(
        "received event=%s queue=%s message=%s receive=%d",
        message.event_id,
        queue.alias,
        message.id,
        message.receive_count,
    )
    failpoint("after_receive")


def finish(queue: Queue, message: Received, work: Work | None = None) -> Disposition:
    """Do what ``handle`` does for a message that is noted; ``work`` is what is left to do, in place of the handlers."""
    span = begin_span(queue, message)
    try:
        return span.run(lambda: _handled(queue, message, work))
    finally:
        span.end()


def begin_span(queue: Queue, message: Received) -> tracing.OpenSpan:
    """Begin the span around all work on a message."""
    return tracing.begin(
        f"process {queue.alias}",
        kind="consumer",
        parent=message.message_attributes.get("traceparent", ""),
        event_id=message.event_id,
    )


def sent_by(message: Received) -> AbstractContextManager[None]:
    """Let handlers inside the block know the id of a message that another producer sent.

    Our relay labels each message; the outbox knows the ids of these.
    """
    return foreign.handling("" if message.message_attributes.get("event_id") else message.id)


def _handled(queue: Queue, message: Received, work: Work | None) -> Disposition:
    with sent_by(message):
        return _decided(queue, message, work)


def _decided(queue: Queue, message: Received, work: Work | None) -> Disposition:
    try:
        if queue.is_fifo and writer.call(fifo_groups.must_wait, queue, message):
            return Disposition(delete=True)
        event = work() if work else registry.reader_for(queue.alias)(message.body)
        if event is None and message.event_id == NO_EVENT:
            _mark_message_handled(queue, message)
    except Hold as exc:
        return _held(queue, message, str(exc))
    except GiveBack:
        return Disposition(delete=False, given_back=True)
    except Retry as exc:
        seconds = backoff.delay(message.receive_count) if exc.seconds is None else exc.seconds
        return _failed(queue, message, exc.code, str(exc), hide_seconds=seconds)
    except Reject as exc:
        # Waiting does not help: it comes back at once until its receives are used up and SQS makes it a dead letter.
        return _failed(queue, message, exc.code, str(exc), hide_seconds=0)
    except OUTAGES:
        raise
    except Exception as exc:
        return failed_unexpectedly(queue, message, exc)
    logger.info("handled event=%s message=%s", message.event_id, message.id)
    return Disposition(delete=True, event_id=event.id if event else None)


def failed_unexpectedly(queue: Queue, message: Received, exc: Exception) -> Disposition:
    """Record an unexpected error; it may still heal, so the message comes back with backoff."""
    # Log the trace without the error's text: PostgreSQL puts whole rows, a customer's data, into its later lines.
    trace = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("handler failed event=%s message=%s\n%s", message.event_id, message.id, trace)
    seconds = backoff.delay(message.receive_count)
    reason = str(exc).partition("\n")[0]
    return _failed(queue, message, type(exc).__name__, reason, hide_seconds=seconds)


def mark_handled(event_ids: Collection[UUID]) -> None:
    """Mark these events handled in the outbox: nothing more is to be done for them.

    Often a consumer is faster than the relay that waits for SQS's answer. Then that relay's claim ends here and cannot
    save when the event was published, so the time of the claim is saved for it.
    """
    sql = _MARK_HANDLED.format(
        now=moment()[0], claimed_at=claims.claimed_at(), which=_WHICH[connection.vendor]
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [json.dumps([event_id.hex for event_id in event_ids])])


@writer.by_one_thread
def _mark_message_handled(queue: Queue, message: Received) -> None:
    """Mark a redriven message handled that is no envelope; the outbox knows it by SQS's message id."""
    OutboxEvent.objects.filter(event_id=None, queue=queue.alias, sqs_message_id=message.id).exclude(
        state=OutboxEvent.State.HANDLED
    ).update(state=OutboxEvent.State.HANDLED, handled_at=Now(), claim=None, lease_until=None)


def _held(queue: Queue, message: Received, reason: str) -> Disposition:
    try:
        writer.call(fifo_groups.hold, queue, message, reason=reason)
    except OUTAGES:
        raise
    except DatabaseError as exc:
        logger.error("not held event=%s message=%s: %s", message.event_id, message.id, exc)
        return Disposition(delete=False, hide_seconds=backoff.delay(message.receive_count))
    return Disposition(delete=True)


def _failed(
    queue: Queue, message: Received, code: str, reason: str, *, hide_seconds: int
) -> Disposition:
    logger.warning(
        "not handled event=%s message=%s receive=%d back_in=%ds code=%s: %s",
        message.event_id,
        message.id,
        message.receive_count,
        hide_seconds,
        code,
        reason,
    )
    try:
        _record_failure(queue, message, code, reason)
    except DatabaseError as exc:
        # The message comes back all the same; only this line of its history is missing.
        logger.error("failure not recorded message=%s: %s", message.id, exc)
    return Disposition(delete=False, hide_seconds=hide_seconds)


@writer.by_one_thread
def _record_failure(queue: Queue, message: Received, code: str, reason: str) -> None:
    if _holds_its_group(queue, message):
        collecting.bury(queue, message)
    HandlingFailure.objects.bulk_create(
        [
            HandlingFailure(
                queue=queue.alias,
                sqs_message_id=message.id,
                event_id=envelope_fields(message.body).id,
                receive_count=message.receive_count,
                code=code[:100],
                reason=reason.replace("\0", ""),
            )
        ],
        # Replaces the mark that a quarantined message has.
        update_conflicts=True,
        unique_fields=["sqs_message_id", "receive_count", "queue"],
        update_fields=["code", "reason", "failed_at"],
    )


def _holds_its_group(queue: Queue, message: Received) -> bool:
    """Return True if this is the last receive of a message whose dead letter must hold its FIFO group.

    After it SQS moves the message to the DLQ and delivers the next one of the group.
    """
    return (
        settings.FIFO_POISON == "hold"
        and queue.is_fifo
        and message.receive_count >= settings.QUEUE_MAX_RECEIVE_COUNT
    )
