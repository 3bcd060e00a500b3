"""Keep an answer of the database for a few seconds, for all threads of a process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import DatabaseError

from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Fresh(Generic[Answer]):
    """What ``read`` returned, asked again after ``seconds``; while the database fails, the last answer stays.

    All threads share the answer.
    """

    def __init__(self, read: Callable[[], Answer], *, seconds: float) -> None:
        self._read = by_one_thread(read)
        self._seconds = seconds
        self._known: tuple[Answer, float] | None = None

    def get(self) -> Answer:
        """Return the answer; raises DatabaseError if there was none yet."""
        known = self._known
        if known is None or time.monotonic() >= known[1]:
            if known is not None:
                # Other threads use the old answer while this one asks. A lock could block: the query may need another
                # thread.
                self._known = (known[0], self._until())
            known = self._known = (self._asked(known), self._until())
        return known[0]

    def forget(self) -> None:
        """Ask the next time: after a change in this process, and between tests."""
        self._known = None

    def expire(self) -> None:
        """Ask the next time; if the database fails then, the last answer stays."""
        if known := self._known:
            self._known = (known[0], 0.0)

    def _until(self) -> float:
        return time.monotonic() + self._seconds

    def _asked(self, known: tuple[Answer, float] | None) -> Answer:
        try:
            return self._read()
        except DatabaseError as exc:
            if known is None:
                raise
            logger.warning("not read, as it was: %s", type(exc).__name__)
            return known[0]
