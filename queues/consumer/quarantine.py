"""Messages whose consumer died with them in hand: one of them may have killed it.

Such a message came back, and nobody recorded why its last receive ended. Most have done nothing, so the first receives
are spent on finding that out side by side. With its last three it is handled alone, after everything else in hand is
done and deleted, so that it takes no other message's receives with it. Before that a failure ``Died`` is recorded,
which stays only if the process does not live to take it back: its dead letter says so, and whoever has such a mark
comes last.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection

from django.conf import settings
from django.db import DatabaseError

from queues.aws.sqs import Queue, Received
from queues.events.envelope import envelope_fields
from queues.models import HandlingFailure
from queues.models.dead_letters import DIED
from queues.threads.writer import by_one_thread

# One to die alone with others waiting, one for those others, one for a death that none of them has to do with.
LAST_RECEIVES = 3
_REASON = "The consumer ended while it handled this message, and nothing else was in hand."


class Quarantine:
    """Of one consumer: those in hand that wait until they are alone. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Queue, Received]] = []
        self._is_one_alone = False

    @property
    def need_quiet(self) -> bool:
        """Whether nothing may be received: one is handled, or waits for it."""
        return bool(self._waiting) or self._is_one_alone

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, queue: Queue, messages: Collection[Received]) -> list[Received]:
        """Keep the suspects among these; returns the others."""
        first = max(2, settings.QUEUE_MAX_RECEIVE_COUNT + 1 - LAST_RECEIVES)
        again = [message for message in messages if message.receive_count >= first]
        if not again:
            return list(messages)
        marks = _marks(queue, again)
        with self._lock:
            self._waiting += [
                (marks[message.id], queue, message) for message in again if message.id in marks
            ]
            self._waiting.sort(key=lambda quarantined: quarantined[0])
        return [message for message in messages if message.id not in marks]

    def next(self, *, quiet: bool = True) -> tuple[Queue, Received] | None:
        """The least suspect of them, which is the caller's until ``done``; None where there is none now.

        One that has a mark waits until it is ``quiet``: until no long poll may bring another message meanwhile.
        """
        with self._lock:
            if self._is_one_alone or not self._waiting or (self._waiting[0][0] and not quiet):
                return None
            self._is_one_alone = True
            _, queue, message = self._waiting.pop(0)
            return queue, message

    def done(self) -> None:
        """What ``next`` gave is out of hand."""
        self._is_one_alone = False

    def rest(self) -> list[tuple[Queue, Received]]:
        """All that wait; they are the caller's, to be given back."""
        with self._lock:
            rest, self._waiting = self._waiting, []
        return [(queue, message) for _, queue, message in rest]


@by_one_thread
def mark(queue: Queue, message: Received) -> None:
    """Right before it is handled."""
    failure = HandlingFailure(
        queue=queue.alias,
        sqs_message_id=message.id,
        event_id=envelope_fields(message.body).id,
        receive_count=message.receive_count,
        code=DIED,
        reason=_REASON,
    )
    HandlingFailure.objects.bulk_create([failure], ignore_conflicts=True)


@by_one_thread
def unmark(queue: Queue, message: Received) -> None:
    """It was handled, and this process lives; if it failed, its cause is recorded in place of the mark."""
    HandlingFailure.objects.filter(
        queue=queue.alias,
        sqs_message_id=message.id,
        receive_count=message.receive_count,
        code=DIED,
    ).delete()


def _marks(queue: Queue, messages: Collection[Received]) -> dict[str, int]:
    """How often each suspect's consumer died alone with it; those whose last receive ended otherwise are left out."""
    before = {message.id: message.receive_count - 1 for message in messages}
    rows = HandlingFailure.objects.filter(queue=queue.alias, sqs_message_id__in=list(before))
    try:
        failures = list(rows.values_list("sqs_message_id", "receive_count", "code"))
    except DatabaseError:
        # They are in hand already. Alone they take nobody with them, whatever they are.
        return dict.fromkeys(before, 0)
    cleared = {key for key, count, code in failures if code != DIED and count >= before[key]}
    deaths = Counter(key for key, _, code in failures if code == DIED)
    return {key: deaths[key] for key in before if key not in cleared}
