"""Give a message back without burning one of its receives: through the outbox, whose relay makes a new one of it.

For whoever cannot choose not to receive. The caller deletes the message afterwards.
"""

from __future__ import annotations

import logging

from queues.aws.sqs import Queue, Received
from queues.events.envelope import envelope_fields
from queues.models import OutboxEvent
from queues.outbox import recording, relay

logger = logging.getLogger(__name__)

FIRST_SECONDS = 60
MOST_SECONDS = 900

State = OutboxEvent.State
# It waits there already, or needs no message any more.
_AS_IT_IS = (State.PENDING, State.HELD, State.HANDLED)


def postpone(queue: Queue, message: Received) -> None:
    """Publish its event again: after a minute, and twice as long each time, a quarter of an hour at most.

    On a FIFO queue its group waits for it, so it keeps its place. Messages of one group must come in their order.
    """
    row = _row(queue, message)
    if row is None:
        recording.adopt(queue, message, state=State.PENDING, seconds=FIRST_SECONDS)
    elif row.state not in _AS_IT_IS:
        relay.put_back(row, seconds=_delay(row.tries))
    logger.info("postponed event=%s message=%s", message.event_id, message.id)


def _row(queue: Queue, message: Received) -> OutboxEvent | None:
    rows = OutboxEvent.objects.carried_by(
        queue.alias, event_id=envelope_fields(message.body).id, sqs_message_id=message.id
    )
    return rows.order_by("-id").first()


def _delay(tries: int) -> int:
    return min(MOST_SECONDS, FIRST_SECONDS << max(0, min(tries, 10) - 1))
