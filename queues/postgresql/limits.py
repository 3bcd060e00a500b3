"""Limit how long this process waits for one statement: pages not long, consumers longer, other commands for ever.

Migrations and long commands set no limit. A process chooses once, before it connects.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

# PostgreSQL ends a statement that is too long and says so. A server that is silent for this much longer hangs.
SILENCE_SECONDS = 5.0
# A transaction waits no longer than this for the lock of another; it is tried again.
LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """The longest time of a statement, and of its wait for a lock; 0 is no limit.

    ``asks``: while an answer is late, ask over another connection whether the server hangs.
    """

    statement_seconds: float = 0.0
    lock_seconds: float = 0.0
    asks: bool = False


class _Here(threading.local):
    """A limit of this thread alone, for a moment; 0 is none."""

    seconds = 0.0


_here = _Here()
_process = Limits()


def of_pages() -> Limits:
    """Return the limits of a process that answers requests."""
    seconds = settings.DATABASE_PAGE_SECONDS
    return Limits(seconds, min(LOCK_SECONDS, seconds), asks=True)


def of_work() -> Limits:
    """Return the limits of a consumer, a relay or an archiver, which try again."""
    seconds = settings.DATABASE_WORK_SECONDS
    return Limits(seconds, min(LOCK_SECONDS, seconds))


def use(limits: Limits) -> None:
    """Limit all connections that this process opens from now on, and all of its waits."""
    global _process
    _process = limits


@contextmanager
def used(limits: Limits) -> Iterator[None]:
    """Limit what this process does in this block."""
    before = _process
    use(limits)
    try:
        yield
    finally:
        use(before)


def in_force() -> Limits:
    """Return the limits of this process."""
    return _process


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Wait no longer than this for any answer in this thread and block, whatever else is in force."""
    before, _here.seconds = _here.seconds, seconds
    try:
        yield
    finally:
        _here.seconds = before


def asks() -> bool:
    """Return True if this thread asks about a server that is silent, instead of waiting for the whole time."""
    return _process.asks and not _here.seconds


def silence_seconds() -> float | None:
    """Return how long this thread waits for the server's next word; None is for ever."""
    if _here.seconds:
        return _here.seconds
    return _process.statement_seconds + SILENCE_SECONDS if _process.statement_seconds else None
