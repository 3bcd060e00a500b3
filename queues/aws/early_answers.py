"""Notice a server that answers long polls at once: polled without a pause, it would cost a call each millisecond."""

from __future__ import annotations

import threading

# SQS may end a long poll a little early; less than this share of the time that was asked for is no long poll.
EARLY_SHARE = 0.5


class EarlyAnswers:
    """Counts the empty answers of one queue that came well before the time that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def is_strange(self, seconds: float, wait_seconds: float) -> bool:
        """Count one empty answer that took ``seconds``; True from the second in a row that came too early.

        The first may be chance. A short poll says nothing, neither way.
        """
        if not wait_seconds:
            return False
        with self._lock:
            self._count = self._count + 1 if seconds < wait_seconds * EARLY_SHARE else 0
            return self._count > 1

    def end(self) -> None:
        """Forget what was counted: the queue works, because messages came."""
        with self._lock:
            self._count = 0
