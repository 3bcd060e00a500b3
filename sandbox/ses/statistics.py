"""Count emails sent, bounced and so on by quarters of an hour, as SES's GetSendStatistics tells them."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

POINT = timedelta(minutes=15)
KEPT = timedelta(days=14)
NAMES = ("DeliveryAttempts", "Bounces", "Complaints", "Rejects")
COUNTED = {"Bounce": "Bounces", "Complaint": "Complaints"}


class Statistics:
    """The counts of one region."""

    def __init__(self) -> None:
        self._points: dict[datetime, Counter[str]] = {}
        self._lock = threading.Lock()

    def count(self, name: str, number: int = 1) -> None:
        """One more, now."""
        now = datetime.now(UTC)
        begin = now - timedelta(seconds=now.timestamp() % POINT.total_seconds())
        with self._lock:
            self._points.setdefault(begin.replace(microsecond=0), Counter())[name] += number

    def points(self) -> list[dict[str, Any]]:
        """Return the points of the last two weeks; quarters in which nothing happened are left out."""
        oldest = datetime.now(UTC) - KEPT
        with self._lock:
            return [
                {"Timestamp": begin} | {name: counts[name] for name in NAMES}
                for begin, counts in self._points.items()
                if begin > oldest
            ]
