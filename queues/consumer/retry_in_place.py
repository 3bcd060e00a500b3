"""A database that does not answer, is locked or full is no message's fault: it stays in hand, and is handled again.

Handlers may be repeated. None of the message's receives is burnt, and while one waits nothing else is received.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from queues.errors import GiveBack
from queues.threads import writer

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

OUTAGES = (OperationalError, InterfaceError)
# Visibility is kept alive for a quarter of an hour.
HOLD_SECONDS = 840
MAX_PAUSE_SECONDS = 15.0
# Serialization failure, deadlock: PostgreSQL chose this transaction as the one to give way.
_GAVE_WAY = {"40001", "40P01"}
_TRIES_AT_ONCE = 3


class RetryInPlace:
    """Of one consumer; its threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def is_tried(self) -> bool:
        """Whether the database has failed a message that is in hand, and not yet let it through."""
        return self._waiting > 0

    def run(self, handle: Callable[[], Result], *, name: str) -> Result:
        """What ``handle`` returns as soon as the database lets it; ``name`` is for the log.

        Raises what it raised last after 14 minutes, GiveBack when the consumer stops.
        """
        try:
            return handle()
        except OUTAGES as exc:
            error = exc
        with self._lock:
            self._waiting += 1
        try:
            return self._insist(handle, error, name=name)
        finally:
            with self._lock:
                self._waiting -= 1

    def _insist(self, handle: Callable[[], Result], error: Exception, *, name: str) -> Result:
        until = time.monotonic() + HOLD_SECONDS
        tries, seconds = 1, 0.0
        while True:
            if not (_gave_way(error) and tries <= _TRIES_AT_ONCE):
                seconds = min(MAX_PAUSE_SECONDS, seconds * 2 or 1.0)
            _log(name, error, seconds)
            # A connection that broke would fail for ever.
            writer.drop_broken_connection()
            pause(seconds)
            tries += 1
            try:
                return handle()
            except OUTAGES as exc:
                if time.monotonic() > until:
                    raise
                error = exc


def _gave_way(exc: Exception) -> bool:
    return getattr(exc.__cause__, "sqlstate", "") in _GAVE_WAY


def _log(name: str, exc: Exception, seconds: float) -> None:
    # Without the lines after the first: PostgreSQL puts whole rows, a customer's data, there.
    reason = str(exc).partition("\n")[0]
    logger.error("in hand, next try in %.0f s %s %s: %s", seconds, name, type(exc).__name__, reason)


_stopping: ContextVar[Callable[[], bool]] = ContextVar("stopping", default=lambda: False)


def begin(stopping: Callable[[], bool]) -> None:
    """Tell this thread how to learn that its consumer stops."""
    _stopping.set(stopping)


def pause(seconds: float) -> None:
    """Sleep with the message in flight, so that it burns none of its receives; raises GiveBack when the consumer stops.

    Meanwhile the visibility of the message is kept alive, for a quarter of an hour at most.
    """
    until = time.monotonic() + seconds
    while True:
        if _stopping.get()():
            raise GiveBack("the consumer stops")
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.1))
