"""Collect dead letters: move messages from the dead-letter queues into the database."""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DataError, transaction

from queues.aws import sqs
from queues.aws.sqs import Received
from queues.events import envelope
from queues.events.envelope import envelope_fields
from queues.events.stakes import Stake
from queues.failpoints import failpoint
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import recording

logger = logging.getLogger(__name__)


def collect(alias: str) -> int:
    """Move every message of the queue's DLQ into the database; returns how many.

    It commits the row before it deletes the message, and a repeat changes nothing. Raises QueueUnavailable.
    """
    queue = sqs.dead_letter_queue(alias)
    count = 0
    while messages := queue.receive(limit=sqs.BATCH_ENTRIES, wait_seconds=0):
        kept = [message for message in messages if _is_kept(alias, message)]
        count += len(kept)
        failpoint("after_collect")
        if not kept:
            break
        queue.delete_batch(kept)
    return count


def collect_all() -> int:
    """Move the messages of all DLQs into the database; returns how many. Raises QueueUnavailable."""
    return sum(collect(alias) for alias in settings.QUEUES)


def bury(queue: sqs.Queue, message: Received) -> None:
    """Mark the message's outbox row as dead; if a dead letter holds its FIFO group, create the missing row."""
    rows = OutboxEvent.objects.carried_by(
        queue.alias, event_id=envelope_fields(message.body).id, sqs_message_id=message.id
    )
    buried = rows.filter(state=OutboxEvent.State.PUBLISHED).update(state=OutboxEvent.State.DEAD)
    if not buried and queue.is_fifo and settings.FIFO_POISON == "hold" and not rows.exists():
        recording.adopt(queue, message, state=OutboxEvent.State.DEAD)


def fingerprint(code: str, reason: str) -> str:
    """Return what two failures of the same cause share: a hash of code and reason without ids, addresses, numbers."""
    return hashlib.sha256(f"{code}\n{general(reason)}".encode()).hexdigest()[:16]


def general(reason: str) -> str:
    """Replace in a reason what differs from message to message and what names a person.

    The version of an event type stays: ``order.placed.v2`` is another cause than ``order.placed.v3``.
    """
    return re.sub(r"\S+@\S+|[0-9a-f]{8}-[0-9a-f-]{27}|(?<!\d)(?<!\.v)\d+", "*", reason)


def stake_fields(stake: Stake | None) -> dict[str, Any]:
    """Return the columns of a dead letter that say what is at stake."""
    if stake is None:
        return {"customer": "", "amount_cents": None, "currency": "", "domain": ""}
    return {
        "customer": stake.customer,
        "amount_cents": stake.amount_cents,
        "currency": stake.currency,
        "domain": stake.domain,
    }


def _is_kept(alias: str, message: Received) -> bool:
    """Store a message; False if the database rejects it: it stays in SQS, and the others are still collected."""
    try:
        _keep(alias, message)
    except (DataError, ValueError) as exc:
        logger.error("dead letter cannot be kept message=%s: %s", message.id, type(exc).__name__)
        return False
    return True


@transaction.atomic
def _keep(alias: str, message: Received) -> bool:
    cause = (
        HandlingFailure.objects.filter(queue=alias, sqs_message_id=message.id)
        .order_by("-receive_count")
        .first()
    )
    code, reason = (cause.code, cause.reason) if cause else _NO_RECORD
    fields = envelope_fields(message.body)
    stake = envelope.stake(message.body)
    letter, is_new = DeadLetter.objects.get_or_create(
        queue=alias,
        sqs_message_id=message.id,
        defaults={
            "event_id": fields.id,
            "type": fields.type,
            "subject": fields.subject,
            "group": message.group,
            "body": message.body,
            "attributes": dict(message.attributes),
            "message_attributes": dict(message.message_attributes),
            "receive_count": cause.receive_count if cause else message.receive_count,
            "code": code,
            "reason": reason,
            "fingerprint": fingerprint(code, reason),
            "sent_at": _sent_at(message),
            **stake_fields(stake),
        },
    )
    if is_new:
        bury(sqs.queue(alias), message)
        logger.warning(
            "dead-lettered event=%s message=%s dead_letter=%s code=%s",
            letter.event_id or "-",
            letter.sqs_message_id,
            letter.pk,
            code,
        )
    return is_new


# Do not reword a stored reason lightly: its fingerprint changes with it, and one cause becomes two.
_NO_RECORD = (
    "NoRecord",
    "No failure was recorded: the consumer died with it, or it was sent here by hand.",
)


def _sent_at(message: Received) -> datetime | None:
    """Return when the message was sent, if that can be read; SQS gives it in epoch milliseconds."""
    try:
        return datetime.fromtimestamp(int(message.attributes["SentTimestamp"]) / 1000, UTC)
    except (KeyError, ValueError, OverflowError):
        return None
