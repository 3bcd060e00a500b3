"""Decide where a look for due rows begins, so that it does not walk past all that was ever done.

A row that is done leaves its entry in the index behind. PostgreSQL cannot remove it while any transaction is open that
began before, such as a report or a backup, and a look from the start of the index then walks past all such entries.
So most looks begin shortly before the row that was found last. They miss a row with a lower id: one that became due
again, or whose transaction was long. A look from the start finds it; that is repeated as often as it is cheap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Ids are given out in order, but transactions end in any: a look begins so many ids before the last one found.
MARGIN = 1000
# Looks from the start take one part in so many of the time, unless ``Look`` is told another.
PART = 50
# However long one took, because the database stood still say, the next one comes after so long.
MOST_SECONDS = 30.0
# What is faster is not worth a pause.
QUICK_SECONDS = 0.01


class Look:
    """The looks of one kind in this process; losing what it knows costs a look from the start.

    Between two looks from the start it leaves ``least_seconds``, and more if they are slow: then they take one ``part``
    of the time. Threads may share it.
    """

    def __init__(
        self,
        *,
        least_seconds: float = 0.0,
        part: int = PART,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least, self._part, self._clock = least_seconds, part, clock
        self._floor, self._from_start_at = 0, 0.0

    def is_due(self) -> bool:
        """Return True if the next look is to be one from the start."""
        return self._clock() >= self._from_start_at

    @contextmanager
    def from_start(self) -> Iterator[None]:
        """Time a look from the start: the slower it was, the later the next one."""
        began = self._clock()
        yield
        ended = self._clock()
        took = ended - began
        slow = self._part * took if took > QUICK_SECONDS else 0.0
        self._from_start_at = ended + min(MOST_SECONDS, max(self._least, slow))

    @property
    def floor(self) -> int:
        """The id after which a look begins that is not from the start."""
        return self._floor

    def found(self, newest: int) -> None:
        """Note the highest id that a look found."""
        self._floor = max(0, newest - MARGIN)

    def forget(self) -> None:
        """Let the next look be one from the start."""
        self._floor, self._from_start_at = 0, 0.0
