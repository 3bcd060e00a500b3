"""Handle a message again, without a new receive, while the database does not answer, is locked or is full.

That is not the message's fault, so it stays in flight and loses no receive; handlers may be repeated. While one message
waits, nothing else is received.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from queues.errors import GiveBack
from queues.threads import writer

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

OUTAGES = (OperationalError, InterfaceError)
# Less than the quarter of an hour for which ``in_flight`` extends the visibility timeout.
HOLD_SECONDS = 840
MAX_PAUSE_SECONDS = 15.0
# Serialization failure and deadlock: PostgreSQL chose to end this transaction.
_GAVE_WAY = {"40001", "40P01"}
_TRIES_AT_ONCE = 3


class RetryInPlace:
    """Handles messages again while the database fails; shared by the threads of one consumer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def is_tried(self) -> bool:
        """True while a message in flight waits for a database that has failed."""
        return self._waiting > 0

    def run(self, handle: Callable[[], Result], *, name: str) -> Result:
        """Call ``handle`` until the database lets it return; ``name`` is for the log.

        Raises the last error of ``handle`` after 14 minutes, and GiveBack when the consumer stops.
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
            # A broken connection would fail for ever.
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
    # Log the first line only: PostgreSQL puts whole rows, a customer's data, into the later ones.
    reason = str(exc).partition("\n")[0]
    logger.error(
        "in flight, next try in %.0f s %s %s: %s", seconds, name, type(exc).__name__, reason
    )


_stopping: ContextVar[Callable[[], bool]] = ContextVar("stopping", default=lambda: False)


def begin(stopping: Callable[[], bool]) -> None:
    """Tell this thread how to learn that its consumer stops."""
    _stopping.set(stopping)


@contextmanager
def begun(stopping: Callable[[], bool]) -> Iterator[None]:
    """Do what ``begin`` does, for this block only: its thread goes on with something else."""
    token = _stopping.set(stopping)
    try:
        yield
    finally:
        _stopping.reset(token)


def pause(seconds: float) -> None:
    """Sleep with the message in flight, so that it burns none of its receives; raises GiveBack when the consumer stops.

    Meanwhile ``in_flight`` extends the message's visibility timeout, for a quarter of an hour at most.
    """
    until = time.monotonic() + seconds
    while True:
        if _stopping.get()():
            raise GiveBack("the consumer stops")
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.1))
