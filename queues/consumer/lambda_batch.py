"""Let a consumer read the messages that Lambda received as if they were a queue.

Lambda deletes messages that ``batchItemFailures`` does not name, and lets the others come back. It receives whether we
want it or not. So a message that cannot be handled for trouble of our own might use up its receives: before it would
become a dead letter, its event is deferred through the outbox.

Sources: Lambda developer guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source": the
shape of the event, and that on a FIFO queue nothing of a group may be handled after its first failure.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from queues import registry
from queues.aws import names, sqs, wrappers
from queues.aws.sqs import BATCH_ENTRIES, Queue, Received
from queues.errors import QueueUnavailable, ReceiptExpired
from queues.models import OutboxEvent
from queues.outbox import recording, relay

logger = logging.getLogger(__name__)

# While the database does not answer, a message waits a minute, then five times as long each time: five receives last
# half a day.
OUTAGE_SECONDS = 60
OUTAGE_FACTOR = 5
# SQS allows twelve hours, counted from the receive.
MOST_OUTAGE_SECONDS = 42_000
# The delay of a deferred event: at first, and at most.
DEFER_SECONDS = 60
MOST_DEFER_SECONDS = 900

# What Lambda names SQS, and the fields that a record from there always has.
SOURCE = "aws:sqs"
_NEEDED = ("messageId", "receiptHandle", "body", "eventSourceARN")

State = OutboxEvent.State
# In these states an event waits in the outbox already, or needs no message any more.
_AS_IT_IS = (State.PENDING, State.HELD, State.HANDLED)


class Batch(Queue):
    """The messages of one queue in one invocation; ``failed`` names those that must come back."""

    def __init__(self, queue: Queue, messages: Sequence[Received]) -> None:
        super().__init__(queue.alias, queue.named)
        self._queue = queue
        self._messages = messages
        self._waiting = deque(messages)
        self._settled: set[str] = set()
        self._done: set[str] = set()
        self._stopped_groups: set[str] = set()

    @property
    def url(self) -> str:
        """The queue's URL; SQS is asked once in the life of the process."""
        return self._queue.url

    @property
    def failed(self) -> list[str]:
        """The ids of the messages that Lambda must not delete."""
        return [message.id for message in self._messages if message.id not in self._done]

    def receive(self, *, limit: int, wait_seconds: int) -> list[Received]:
        """Return the next messages without waiting; of a FIFO group none after its first failure."""
        received: list[Received] = []
        while self._waiting and len(received) < min(limit, BATCH_ENTRIES):
            message = self._waiting.popleft()
            if not (self.is_fifo and message.group in self._stopped_groups):
                received.append(message)
        return received

    def delete_batch(self, messages: Sequence[Received]) -> list[Received]:
        """Leave these messages to Lambda, which will delete them."""
        ids = {message.id for message in messages}
        self._done |= ids
        self._settled |= ids
        return []

    def hide(self, message: Received, *, seconds: int) -> None:
        """Hide a message that failed, and stop its FIFO group."""
        self._stopped_groups.add(message.group)
        self._settled.add(message.id)
        self._queue.hide(message, seconds=seconds)

    def give_back(self, message: Received) -> None:
        """Stop the message's FIFO group; ``give_back_rest`` gives the message back at the end."""
        self._stopped_groups.add(message.group)

    def give_back_rest(self) -> None:
        """Give back the messages that were not worked on, or defer them through the outbox while the queue is closed.

        A message in its last receive is deferred, too, or it would become a dead letter without being tried.
        """
        rest = [message for message in self._messages if message.id not in self._settled]
        try:
            rest = self._deferred(rest)
        except DatabaseError as exc:
            logger.error("given back with a long delay, the database fails: %s", type(exc).__name__)
            for message in rest:
                self._let_back([message], seconds=_outage_seconds(message.receive_count))
        else:
            self._let_back(rest, seconds=0)

    def _deferred(self, rest: Sequence[Received]) -> list[Received]:
        """Defer messages that must not come back now; returns the others."""
        if not rest:
            return []
        if reason := registry.why_closed(self.alias):
            logger.warning("deferred queue=%s count=%d: %s", self.alias, len(rest), reason)
        kept = []
        for message in rest:
            if reason or message.receive_count >= settings.QUEUE_MAX_RECEIVE_COUNT:
                defer(self._queue, message)
                self._done.add(message.id)
            else:
                kept.append(message)
        return kept

    def _let_back(self, messages: Sequence[Received], *, seconds: int) -> None:
        for message in messages:
            logger.info("given back event=%s message=%s", message.event_id, message.id)
        try:
            self._queue.hide_batch(messages, seconds=seconds)
        except (QueueUnavailable, ReceiptExpired) as exc:
            # These messages come back by their visibility timeout.
            logger.warning("not hidden queue=%s count=%d: %s", self.alias, len(messages), exc)


def records_of(event: object) -> list[Mapping[str, Any]]:
    """Return the records of an SQS event; raises ValueError, which names the source of any other event."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise ValueError(
            f"the event is from {_source(event)}, not from SQS; for a schedule, use the handler sweep"
        )
    for record in records:
        if _source(record) != SOURCE:
            raise ValueError(f"a record of the event is from {_source(record)}, not from {SOURCE}")
    return records


def _source(event: object) -> str:
    """Name what made an event or a record: each service of AWS says it in a field of its own."""
    if not isinstance(event, Mapping):
        return f"something that sends a {type(event).__name__}"
    # S3, DynamoDB, Kinesis, SES; SNS; EventBridge.
    for name in ("eventSource", "EventSource", "source"):
        if isinstance(event.get(name), str):
            return str(event[name])
    if "requestContext" in event or "httpMethod" in event:
        return "API Gateway, a load balancer or a function URL"
    names = ", ".join(sorted(map(str, event))[:5])
    return f"something with the fields {names}" if names else "something without fields, as a test"


def batches(records: Iterable[Mapping[str, Any]]) -> list[Batch]:
    """Make a batch for each queue in the records; raises ValueError if settings name no such queue."""
    by_alias: dict[str, list[Received]] = {}
    for record in records:
        message = _received(record)
        by_alias.setdefault(_alias(record["eventSourceARN"]), []).append(message)
    return [Batch(sqs.queue(alias), messages) for alias, messages in by_alias.items()]


def defer(queue: Queue, message: Received) -> None:
    """Publish the message's event again after a minute, then twice as long each time, at most a quarter of an hour.

    The relay makes a new message of it, which has all its receives: Lambda cannot choose not to receive. The caller
    deletes the message afterwards.

    On a FIFO queue the group waits for the event, so it keeps its place. The caller must defer the messages of a group
    in their order.
    """
    row = recording.rows_of(queue, message).first()
    if row is None:
        recording.adopt(queue, message, state=State.PENDING, seconds=DEFER_SECONDS)
    elif row.state not in _AS_IT_IS:
        relay.put_back(row, seconds=_delay(row.tries))
    logger.info("deferred event=%s message=%s", message.event_id, message.id)


def _alias(arn: str) -> str:
    """Find the alias of a queue: a queue of the same name in another account or region is not ours."""
    found = names.read(arn)
    for queue in sqs.queues():
        if queue.place.is_at(found):
            return queue.alias
    ours = ", ".join(queue.named for queue in sqs.queues())
    raise ValueError(f"no QUEUE_<ALIAS> setting names the queue {arn}; they name {ours}")


def _received(record: Mapping[str, Any]) -> Received:
    if missing := [name for name in _NEEDED if not isinstance(record.get(name), str)]:
        raise ValueError(f"a record from {SOURCE} without {' and '.join(missing)}")
    attributes = dict(record.get("attributes") or {})
    body, labels = wrappers.unwrapped(
        record["body"], record.get("messageAttributes") or {}, key="stringValue"
    )
    return Received(
        id=record["messageId"],
        receipt=record["receiptHandle"],
        body=body,
        receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
        group=attributes.get("MessageGroupId", ""),
        attributes=attributes,
        message_attributes=labels,
    )


def _outage_seconds(receive_count: int) -> int:
    seconds: int = OUTAGE_SECONDS * OUTAGE_FACTOR ** min(receive_count - 1, 10)
    return min(MOST_OUTAGE_SECONDS, seconds)


def _delay(tries: int) -> int:
    return min(MOST_DEFER_SECONDS, DEFER_SECONDS << max(0, min(tries, 10) - 1))
