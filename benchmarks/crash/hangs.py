"""Let the database hang now and then: PostgreSQL is frozen with all its processes, SQLite is locked by a stranger."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from benchmarks.crash.rig import Rig

HANG_SECONDS = 30.0
PAUSE_SECONDS = (20.0, 60.0)


class Hangs:
    """Begins and ends hangs, as its seed says; 0 ``seconds`` is none."""

    def __init__(self, rig: Rig, *, seed: int, seconds: float = HANG_SECONDS) -> None:
        self.count = 0
        self._rig = rig
        self._random = random.Random(f"hangs-{seed}")  # noqa: S311  # no secret
        self._seconds = seconds
        self._lock: Any = None
        self._ends_at = 0.0
        self._begins_at = time.monotonic() + self._random.uniform(*PAUSE_SECONDS)

    @property
    def is_hung(self) -> bool:
        """True while nobody may ask the database: the answer would come when it is over."""
        return self._ends_at > 0

    def step(self) -> None:
        """End a hang whose time is over; begin one if it is time to."""
        now = time.monotonic()
        if self._ends_at and now >= self._ends_at:
            self.end()
        elif self._is_due(now) and self._freeze():
            self.count += 1
            self._ends_at = now + self._seconds

    def end(self) -> None:
        """Let the database go on."""
        if not self._ends_at:
            return
        self._ends_at = 0.0
        self._begins_at = time.monotonic() + self._random.uniform(*PAUSE_SECONDS)
        if self._rig.postgres:
            self._rig.postgres.thaw()
        else:
            self._lock.close()

    def _is_due(self, now: float) -> bool:
        return bool(self._seconds) and not self._ends_at and now >= self._begins_at

    def _freeze(self) -> bool:
        """Let the database hang; False if it is too busy: then the next step tries again."""
        if self._rig.postgres:
            self._rig.postgres.freeze()
            return True
        self._lock = sqlite3.connect(
            self._rig.folder / "db.sqlite3", isolation_level=None, timeout=1
        )
        try:
            self._lock.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            # Whoever holds the lock may be frozen, and goes on only if this process does.
            self._lock.close()
            return False
        return True
