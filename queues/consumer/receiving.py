"""Receive from one queue as soon as that may be, and wait after a failure: what a lane does while it has the turn."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error, connection

from queues import registry
from queues.aws.sqs import Queue, Received
from queues.errors import QueueClosed, QueueUnavailable
from queues.threads import writer

logger = logging.getLogger(__name__)

CLOSED_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
# So old may be the answer that a queue is open.
OPEN_SECONDS = 0.1
# The pause between two looks whether a message may be received.
LOOK_SECONDS = 0.005


class Receiver:
    """Receives for the lanes of one queue. ``poll`` receives once, ``may_poll`` says whether that may be now."""

    def __init__(
        self,
        queue: Queue,
        *,
        poll: Callable[[], list[Received]],
        may_poll: Callable[[], bool],
        is_over: Callable[[], bool],
    ) -> None:
        # Why nothing can be received now: what SQS answered, or did not.
        self.trouble = ""
        self._queue = queue
        self._poll = poll
        self._may_poll = may_poll
        self._is_over = is_over
        self._lock = threading.Lock()
        self._pause = 0.0
        self._paused_until = 0.0
        self._open_until = 0.0

    def receive(self) -> list[Received]:
        """Wait until that may be, and receive once; after a failure, wait instead and return nothing."""
        while not self._may_poll():
            if self._is_over():
                return []
            time.sleep(LOOK_SECONDS)
        try:
            messages = self._poll()
        except (QueueUnavailable, QueueClosed, Error) as exc:
            if not self._is_over():
                self._note(exc)
                self._sleep()
            return []
        finally:
            writer.drop_broken_connection()
        if self._pause:
            self._pause, self.trouble = 0.0, ""
            logger.warning("receiving again queue=%s", self._queue.alias)
        return messages

    def require_open(self) -> None:
        """Raise QueueClosed while a gate closes the queue, django.db.Error while the database does not answer."""
        if self._open_until <= time.monotonic():
            writer.call(_require_open, self._queue)
            self._open_until = time.monotonic() + OPEN_SECONDS

    def _note(self, exc: Exception) -> None:
        """Write why nothing is received, and how long; lanes that fail at once share one pause.

        Nothing is received meanwhile, so our own trouble costs no message a receive.
        """
        alias = self._queue.alias
        with self._lock:
            if time.monotonic() < self._paused_until:
                return
            self.trouble = str(exc) if isinstance(exc, QueueUnavailable) else ""
            if isinstance(exc, QueueClosed):
                if not self._pause:
                    logger.error("not receiving queue=%s: %s", alias, exc)
                self._pause = CLOSED_SECONDS
            else:
                self._pause = min(MAX_PAUSE_SECONDS, self._pause * 2 or 1.0)
                logger.error(
                    "not receiving queue=%s, next try in %.0f s: %s", alias, self._pause, exc
                )
            self._paused_until = time.monotonic() + self._pause

    def _sleep(self) -> None:
        while not self._is_over() and time.monotonic() < self._paused_until:
            time.sleep(0.1)


class Budget:
    """The number of messages that may still be received; None for any number. Safe to use from many threads."""

    def __init__(self, most: int | None) -> None:
        self._left = most
        self._reserved = 0
        self._lock = threading.Lock()

    @property
    def is_spent(self) -> bool:
        """True if nothing more may ever be received."""
        with self._lock:
            return self._left == 0 and self._reserved == 0

    @property
    def is_reserved(self) -> bool:
        """True while receives that run may use up all that is left."""
        return self._left == 0

    @contextmanager
    def reserved(self, most: int) -> Iterator[_Part]:
        """Reserve up to ``most`` messages for one receive; what the block does not use is given back."""
        with self._lock:
            part = _Part(most if self._left is None else min(most, self._left))
            if self._left is not None:
                self._left -= part.limit
                self._reserved += part.limit
        try:
            yield part
        finally:
            with self._lock:
                if self._left is not None:
                    self._reserved -= part.limit
                    self._left += part.limit - part.used


class _Part:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


def _require_open(queue: Queue) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if reason := registry.why_closed(queue.alias):
        raise QueueClosed(reason)
