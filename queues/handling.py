"""One message, handled: the one place that decides what becomes of it afterwards."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

from django.db import DatabaseError
from django.db.models.functions import Now

from queues import backoff, registry
from queues.errors import GiveBack, Reject, Retry
from queues.events import Event, envelope_fields
from queues.failpoints import failpoint
from queues.models import HandlingFailure, OutboxEvent
from queues.sqs import Queue, Received

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fate:
    """Delete the message, or let it come back after ``hide_seconds``."""

    delete: bool
    hide_seconds: int = 0


def handle(queue: Queue, message: Received) -> Fate:
    """Run the handlers; never raises. The message must not be deleted before this says so."""
    logger.info(
        "received event=%s queue=%s message=%s receive=%d",
        message.event_id,
        queue.alias,
        message.id,
        message.receive_count,
    )
    failpoint("after_receive")
    try:
        event = registry.reader_for(queue.alias)(message.body)
        _mark_handled(event)
        failpoint("after_handled")
    except GiveBack:
        logger.info("given back event=%s message=%s", message.event_id, message.id)
        return Fate(delete=False, hide_seconds=0)
    except Retry as exc:
        seconds = backoff.delay(message.receive_count) if exc.seconds is None else exc.seconds
        return _failed(queue, message, exc.code, str(exc), hide_seconds=seconds)
    except Reject as exc:
        # Waiting heals nothing: used up at once, SQS makes it a dead letter.
        return _failed(queue, message, exc.code, str(exc), hide_seconds=0)
    except Exception as exc:
        # Without its text: PostgreSQL puts whole rows, a customer's data, into the lines after the first.
        trace = "".join(traceback.format_tb(exc.__traceback__))
        logger.error("handler failed event=%s message=%s\n%s", message.event_id, message.id, trace)
        seconds = backoff.delay(message.receive_count)
        reason = str(exc).partition("\n")[0]
        return _failed(queue, message, type(exc).__name__, reason, hide_seconds=seconds)
    logger.info("handled event=%s message=%s", message.event_id, message.id)
    return Fate(delete=True)


def _mark_handled(event: Event | None) -> None:
    if event is None:
        return
    OutboxEvent.objects.filter(event_id=event.id).exclude(state=OutboxEvent.State.HANDLED).update(
        state=OutboxEvent.State.HANDLED, handled_at=Now(), claim=None, lease_until=None
    )


def _failed(queue: Queue, message: Received, code: str, reason: str, *, hide_seconds: int) -> Fate:
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
            ignore_conflicts=True,
        )
    except DatabaseError as exc:
        # The message comes back all the same; only this line of its history is missing.
        logger.error("failure not recorded message=%s: %s", message.id, exc)
    return Fate(delete=False, hide_seconds=hide_seconds)
