"""Keep track of the messages in flight in this process, and extend their visibility timeout meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings

from queues.aws.sqs import Queue, Received
from queues.errors import QueueUnavailable

logger = logging.getLogger(__name__)

# A handler that runs longer than this is stuck: another consumer may receive its message.
MAX_HOLD_SECONDS = 900
LOOK_SECONDS = 0.1


class InFlight:
    """The messages in flight in this process.

    Extending visibility is best effort: correctness rests on the claim of the notification, never on visibility.
    While the block of ``extended`` runs, a thread of its own does it, which never waits for the database.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Queue, Received, float]] = {}
        self._extended_at = time.monotonic()
        self._extending = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, queue: Queue, messages: Iterable[Received]) -> None:
        """Add messages that were received."""
        now = time.monotonic()
        with self._lock:
            for message in messages:
                self._held[message.receipt] = (queue, message, now)

    def drop(self, message: Received) -> None:
        """Remove a message that will be deleted."""
        with self._lock:
            self._held.pop(message.receipt, None)

    def let_go(self, message: Received) -> None:
        """Remove a message that will be hidden or given back, and wait for a running heartbeat that would extend it."""
        with self._extending:
            self.drop(message)

    @contextmanager
    def extended(self) -> Iterator[None]:
        """Extend the visibility of all messages in flight while this block runs."""
        ended = threading.Event()
        threading.Thread(target=self._repeat, args=(ended,), name="visibility", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _repeat(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            try:
                self.heartbeat()
            except Exception:
                # This thread must not die unseen: then messages in flight would be received elsewhere.
                logger.exception("visibility not extended")

    def heartbeat(self) -> None:
        """Extend the visibility of all messages in flight, three times per visibility timeout."""
        if time.monotonic() - self._extended_at < settings.QUEUE_VISIBILITY_SECONDS / 3:
            return
        self._extended_at = time.monotonic()
        with self._extending:
            self._extend()

    def _extend(self) -> None:
        by_queue: defaultdict[Queue, list[Received]] = defaultdict(list)
        with self._lock:
            for queue, message, since in self._held.values():
                if self._extended_at - since < MAX_HOLD_SECONDS:
                    by_queue[queue].append(message)
        for queue, messages in by_queue.items():
            try:
                queue.hide_batch(messages, seconds=settings.QUEUE_VISIBILITY_SECONDS)
            except QueueUnavailable as exc:
                logger.warning("visibility not extended queue=%s: %s", queue.alias, exc)
