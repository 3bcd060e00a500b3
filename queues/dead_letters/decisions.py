"""Redrive, discard, reopen or park dead letters, as staff and redrives decide."""

from __future__ import annotations

import logging
import re
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from queues.models import DeadLetter, OutboxEvent
from queues.outbox import recording

logger = logging.getLogger(__name__)

State = DeadLetter.State


@transaction.atomic
def redrive(letters: QuerySet[DeadLetter]) -> int:
    """Send open dead letters that are not parked through the outbox again, unchanged; returns how many.

    The event id stays, so no email goes out twice; the deduplication id is new, because SQS drops a repeat within
    five minutes. However often you call this, it redrives each dead letter once. One whose queue is not in settings
    stays open.
    """
    known = letters.filter(state=State.OPEN, queue__in=list(settings.QUEUES))
    events = [redrive_one(letter) for letter in known.order_by("id")]
    for event in filter(None, events):
        recording.publish_on_commit(event)
    return sum(event is not None for event in events)


def redrive_one(letter: DeadLetter) -> OutboxEvent | None:
    """Return the outbox row that a relay publishes for this dead letter; None if it is no longer open, or parked.

    Runs in the caller's transaction.
    """
    waiting = DeadLetter.objects.waiting().filter(pk=letter.pk)
    taken = waiting.update(state=State.REDRIVEN, redriven_at=Now())
    if not taken:
        return None
    event = recording.at_its_place(
        _rows(letter), alias=letter.queue, redrive_of=letter, body=letter.body
    ) or OutboxEvent.objects.create(
        event_id=letter.event_id,
        type=letter.type,
        subject=letter.subject,
        queue=letter.queue,
        group=letter.group,
        traceparent=_traceparent(letter),
        body=letter.body,
        available_at=Now(),
        redrive_of=letter,
    )
    logger.info(
        "redriven event=%s message=%s dead_letter=%s",
        letter.event_id or "-",
        letter.sqs_message_id,
        letter.pk,
    )
    return event


@transaction.atomic
def discard(letters: QuerySet[DeadLetter], *, at: datetime | None = None) -> int:
    """Close open dead letters without sending them; returns how many. A FIFO group that one of them held goes on.

    ``at`` is the time that the rows get instead of the database's; those of one act are found by it again.
    """
    return sum(_discard(letter, at) for letter in letters.filter(state=State.OPEN).order_by("id"))


@transaction.atomic
def reopen(letters: QuerySet[DeadLetter]) -> int:
    """Open discarded dead letters again; returns how many.

    If a dead letter holds its FIFO group, later messages of the group wait again; those already sent stay sent.
    """
    return sum(_reopen(letter) for letter in letters.filter(state=State.DISCARDED).order_by("id"))


def _discard(letter: DeadLetter, at: datetime | None) -> bool:
    taken = DeadLetter.objects.filter(pk=letter.pk, state=State.OPEN).update(
        state=State.DISCARDED, discarded_at=at or Now()
    )
    if taken:
        waiting = [OutboxEvent.State.PUBLISHED, OutboxEvent.State.DEAD]
        _rows(letter).filter(state__in=waiting).update(
            state=OutboxEvent.State.DISCARDED, handled_at=Now()
        )
    return bool(taken)


def _reopen(letter: DeadLetter) -> bool:
    taken = DeadLetter.objects.filter(pk=letter.pk, state=State.DISCARDED).update(
        state=State.OPEN, discarded_at=None, parked_until=None
    )
    if taken:
        _rows(letter).filter(state=OutboxEvent.State.DISCARDED).update(
            state=OutboxEvent.State.DEAD, handled_at=None
        )
    return bool(taken)


def _rows(letter: DeadLetter) -> QuerySet[OutboxEvent]:
    return OutboxEvent.objects.carried_by(
        letter.queue, event_id=letter.event_id, sqs_message_id=letter.sqs_message_id
    )


def _traceparent(letter: DeadLetter) -> str:
    """Return the traceparent if it has the form of W3C's Trace Context; the message's producer may write anything."""
    found = letter.message_attributes.get("traceparent", "")
    return (
        found if re.fullmatch(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", found) else ""
    )


def park(letters: QuerySet[DeadLetter], *, until: datetime, note: str) -> int:
    """Park open dead letters until a time, also ones already parked; returns how many.

    They leave the list of causes that wait for a person, and come back by themselves.
    """
    return letters.filter(state=DeadLetter.State.OPEN).update(parked_until=until, note=note)


def unpark(letters: QuerySet[DeadLetter]) -> int:
    """Let open dead letters wait for a person again; returns how many. Their notes stay."""
    return letters.filter(state=DeadLetter.State.OPEN).update(parked_until=None)
