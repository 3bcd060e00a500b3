"""Delete handled messages in batches: ten at once, or what there is when no more come soon."""

from __future__ import annotations

import logging
import threading
import time

from queues.errors import QueueUnavailable
from queues.sqs import BATCH_ENTRIES, Queue, Received

logger = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 0.2


class Acks:
    """The messages of one queue that wait to be deleted. Safe to use from many threads."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._waiting: list[Received] = []
        self._since = 0.0

    def add(self, message: Received) -> None:
        """Delete this message soon; the caller pays for the batch that it fills."""
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(message)
            batch = self._take() if len(self._waiting) >= BATCH_ENTRIES else []
        self._delete(batch)

    def flush(self, *, older_than_seconds: float = 0.0) -> None:
        """Delete what has waited so long."""
        with self._lock:
            due = self._waiting and time.monotonic() - self._since >= older_than_seconds
            batch = self._take() if due else []
        self._delete(batch)

    def _take(self) -> list[Received]:
        batch, self._waiting = self._waiting, []
        return batch

    def _delete(self, messages: list[Received]) -> None:
        for start in range(0, len(messages), BATCH_ENTRIES):
            batch = messages[start : start + BATCH_ENTRIES]
            try:
                kept = self._queue.delete_batch(batch)
            except QueueUnavailable as exc:
                # They come again and are recognised as done.
                logger.warning(
                    "not deleted queue=%s count=%d: %s", self._queue.alias, len(batch), exc
                )
                continue
            for message in batch:
                verb = "not deleted" if message in kept else "deleted"
                logger.info("%s event=%s message=%s", verb, message.event_id, message.id)
