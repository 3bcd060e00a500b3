"""Acknowledge handled messages in batches: ten at once, or fewer if no more come soon.

The outbox first marks their events handled, then SQS deletes the messages. If a process dies in between, the messages
come again and are recognised.
"""

from __future__ import annotations

import logging
import threading
import time
from uuid import UUID

from django.db import Error

from queues.aws.sqs import BATCH_ENTRIES, Queue, Received
from queues.consumer import handling
from queues.errors import QueueUnavailable
from queues.failpoints import failpoint
from queues.threads import writer

logger = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 0.2


class Acks:
    """The messages of one queue that wait to be deleted; safe to use from many threads."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._waiting: list[tuple[Received, UUID | None]] = []
        self._since = 0.0
        self._leaving = 0

    def __len__(self) -> int:
        """The number of messages that wait, or are being deleted."""
        return len(self._waiting) + self._leaving

    def add(self, message: Received, *, event_id: UUID | None) -> None:
        """Mark the event handled and delete the message soon; a caller that fills a batch waits while it is sent."""
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append((message, event_id))
            batch = self._take() if len(self._waiting) >= BATCH_ENTRIES else []
        self._settle(batch)

    def flush(self, *, older_than_seconds: float = 0.0) -> None:
        """Delete the waiting messages if the first of them has waited this long."""
        with self._lock:
            due = self._waiting and time.monotonic() - self._since >= older_than_seconds
            batch = self._take() if due else []
        self._settle(batch)

    def _take(self) -> list[tuple[Received, UUID | None]]:
        batch, self._waiting = self._waiting, []
        self._leaving += len(batch)
        return batch

    def _settle(self, waiting: list[tuple[Received, UUID | None]]) -> None:
        for start in range(0, len(waiting), BATCH_ENTRIES):
            batch = waiting[start : start + BATCH_ENTRIES]
            try:
                if event_ids := [event_id for _, event_id in batch if event_id]:
                    writer.call(handling.mark_handled, event_ids)
                    failpoint("after_handled")
                self._delete([message for message, _ in batch])
            except (QueueUnavailable, Error) as exc:
                # These messages come again and are recognised as done.
                logger.warning(
                    "not deleted queue=%s count=%d: %s", self._queue.alias, len(batch), exc
                )
                # In a thread that only acknowledges, no other code drops it.
                writer.drop_broken_connection()
            finally:
                with self._lock:
                    self._leaving -= len(batch)

    def _delete(self, messages: list[Received]) -> None:
        kept = self._queue.delete_batch(messages)
        for message in messages:
            # Each step has a text of its own: the JSON log names a step by it.
            if message in kept:
                logger.info("not deleted event=%s message=%s", message.event_id, message.id)
            else:
                logger.info("deleted event=%s message=%s", message.event_id, message.id)
