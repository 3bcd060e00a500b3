"""Compute how many emails must be in flight at once to use the whole sending rate.

Little's law: the number in flight is the number sent in a second, times the seconds that one email takes.
"""

from __future__ import annotations

import math

from emails.sending import limiter
from emails.sending.breakers import READ_ANYWAY
from queues.registry import needs

# We plan for this many times the calls under way: a thread also renders and deletes, and the next call may take
# longer.
RESERVE = 2
# Slots are taken this far ahead: then a pause of that length, for a commit or a receive, leaves no slot unused.
AHEAD_SECONDS = 0.25
# What SES takes as long as it has not answered this process.
GUESS_SECONDS = 0.1
# The weight of the newest value in the moving average, when it is above and when it is below the average.
RISE, FALL = 1 / 64, 1 / 8


class MovingAverage:
    """An exponential moving average that falls fast and rises slowly, because a busy machine makes some times longer.

    Threads share it without a lock: a value lost in a race does not matter.
    """

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, value: float) -> None:
        """Add a value to the average; the first one becomes the average."""
        before = self.value
        if before is None:
            self.value = value
        else:
            self.value = before + (value - before) * (RISE if value > before else FALL)


# The seconds from the call of SES until the acceptance is saved. Calls that fail, fast or slowly, are not counted.
accepted_seconds = MovingAverage()


@needs
def needed(alias: str) -> int | None:
    """Return how many messages of this queue to handle at once; None if nobody can say.

    Nobody can say for a queue that sends nothing, and before the rate is known. The rate is that of all processes
    together.
    """
    if alias in READ_ANYWAY:
        return None
    rate, seconds = limiter.rate(), accepted_seconds.value
    return None if rate is None else at_once(rate=rate, seconds=seconds or GUESS_SECONDS)


def at_once(*, rate: float, seconds: float) -> int:
    """Return how many emails must be in flight for this rate, in recipients a second.

    ``seconds`` is the time from a call of SES until its acceptance is saved.
    """
    return math.ceil(rate * (RESERVE * seconds + AHEAD_SECONDS))
