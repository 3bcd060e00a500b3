"""Hold a message that is not to blame: wait with it in hand instead of burning one of its receives.

Meanwhile its visibility is kept alive, for a quarter of an hour at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar

from queues.errors import GiveBack

_stopping: ContextVar[Callable[[], bool]] = ContextVar("stopping", default=lambda: False)


def begin(stopping: Callable[[], bool]) -> None:
    """Tell this thread how to learn that its consumer stops."""
    _stopping.set(stopping)


def pause(seconds: float) -> None:
    """Sleep; raises GiveBack as soon as the consumer stops."""
    until = time.monotonic() + seconds
    while True:
        if _stopping.get()():
            raise GiveBack("the consumer stops")
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.1))
