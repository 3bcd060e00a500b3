"""A clock that only moves when it is told to: for Django, for SQLite and for whoever sleeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
# Julian day of 1970-01-01.
_EPOCH_DAY = 2_440_587.5


class Clock:
    """Stands in for the modules ``time`` that the product sleeps with."""

    def __init__(self) -> None:
        self._now = START
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        """Return the world's time, for ``timezone.now``."""
        return self._now

    def time(self) -> float:
        """Seconds since 1970."""
        return self._now.timestamp()

    monotonic = time
    CLOCK_MONOTONIC = CLOCK_BOOTTIME = 0

    def clock_gettime(self, which: int) -> float:
        """Return the world's seconds, whatever clock is asked: all of them agree."""
        return self.time()

    def advance(self, seconds: float) -> None:
        """Let time pass; nobody acts meanwhile."""
        self._now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Let time pass, and others act; nobody wakes up within a millisecond."""
        self.advance(max(seconds, 0.001))
        self.on_sleep()

    def install(self, connection: Any) -> None:
        """Make this the clock of a connection to SQLite; see Django's ``Now`` and ``emails.sending.limiter``."""
        connection.create_function("strftime", -1, self._strftime)
        connection.create_function("julianday", -1, self._julianday)

    def _strftime(self, pattern: str, moment: str) -> str:
        """SQLite's %f has milliseconds."""
        assert (pattern, moment) == ("%Y-%m-%d %H:%M:%f", "NOW")
        return self._now.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

    def _julianday(self, moment: str) -> float:
        assert moment == "now"
        return _EPOCH_DAY + self.time() / 86_400
