"""Quarantine messages that were in flight when their consumer died: one of them may have killed it.

Such a message came back, and no record says why its last receive ended. Most of these messages are innocent, so their
first receives are handled in parallel with others, which shows that. In its last three receives a message is handled
alone, after everything else in flight is done and deleted, so that it costs no other message a receive. Before that, a
failure ``Died`` is recorded as a mark, and taken back afterwards. It stays only if the process dies: then the dead
letter shows it, and marked messages are handled last.
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

# One receive in which a message dies alone while others wait, one for those others, one for a death with another cause.
LAST_RECEIVES = 3
_REASON = "The consumer ended while it handled this message, and nothing else was in flight."


class Quarantine:
    """The messages of one consumer that wait to be handled alone; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Queue, Received]] = []
        self._is_one_alone = False

    @property
    def need_quiet(self) -> bool:
        """True while nothing may be received, because a quarantined message is handled or waits."""
        return bool(self._waiting) or self._is_one_alone

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, queue: Queue, messages: Collection[Received]) -> list[Received]:
        """Keep those of these messages that must be handled alone; returns the others."""
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
        """Return the message with the fewest marks, for the caller until ``done``; None if none can be handled now.

        A marked message waits until it is ``quiet``: until no outstanding long poll can bring another message.
        """
        with self._lock:
            if self._is_one_alone or not self._waiting or (self._waiting[0][0] and not quiet):
                return None
            self._is_one_alone = True
            _, queue, message = self._waiting.pop(0)
            return queue, message

    def done(self) -> None:
        """End the handling of the message that ``next`` gave."""
        self._is_one_alone = False

    def rest(self) -> list[tuple[Queue, Received]]:
        """Return all messages that wait, for the caller to give back."""
        with self._lock:
            rest, self._waiting = self._waiting, []
        return [(queue, message) for _, queue, message in rest]


@by_one_thread
def mark(queue: Queue, message: Received) -> None:
    """Record the failure ``Died`` right before the message is handled."""
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
    """Remove the mark, because this process outlived the message; if handling failed, its cause has replaced it."""
    HandlingFailure.objects.filter(
        queue=queue.alias,
        sqs_message_id=message.id,
        receive_count=message.receive_count,
        code=DIED,
    ).delete()


def _marks(queue: Queue, messages: Collection[Received]) -> dict[str, int]:
    """Count for each message how often its consumer died alone with it.

    Messages whose last receive has a recorded end other than ``Died`` are left out.
    """
    before = {message.id: message.receive_count - 1 for message in messages}
    rows = HandlingFailure.objects.filter(queue=queue.alias, sqs_message_id__in=list(before))
    try:
        failures = list(rows.values_list("sqs_message_id", "receive_count", "code"))
    except DatabaseError:
        # They are in flight already, and alone they harm no other message, whatever they are.
        return dict.fromkeys(before, 0)
    cleared = {key for key, count, code in failures if code != DIED and count >= before[key]}
    deaths = Counter(key for key, _, code in failures if code == DIED)
    return {key: deaths[key] for key in before if key not in cleared}
