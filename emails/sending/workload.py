"""How many emails must be in hand at once so that the sending rate is used.

Little's law: on their way are as many as are sent in a second, times the seconds that one takes.
"""

from __future__ import annotations

import math

from emails.sending import limiter
from emails.sending.breakers import READ_ANYWAY
from queues.registry import needs

# Of the calls under way: a thread also renders and deletes, and the next call may take longer.
RESERVE = 2
# So far ahead slots are taken: a pause of that length, for a commit or a receive, leaves none unused.
AHEAD_SECONDS = 0.25
# How much of a difference the newest value brings in, upwards and downwards.
RISE, FALL = 1 / 64, 1 / 8


class MovingAverage:
    """An exponential moving average that falls fast and rises slowly: a busy machine adds to some of the times.

    Threads share it without a lock: a value that is lost in a race is not missed.
    """

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, value: float) -> None:
        """The first one counts whole."""
        before = self.value
        if before is None:
            self.value = value
        else:
            self.value = before + (value - before) * (RISE if value > before else FALL)


# From the call of SES until its acceptance is recorded. While SES fails, fast or slowly, nothing is learned.
accepted_seconds = MovingAverage()


@needs
def needed(alias: str) -> int | None:
    """None for a queue that sends nothing, and before the rate is known and SES has answered.

    The rate is that of all processes together.
    """
    if alias in READ_ANYWAY:
        return None
    rate, seconds = limiter.rate(), accepted_seconds.value
    return None if rate is None or seconds is None else at_once(rate=rate, seconds=seconds)


def at_once(*, rate: float, seconds: float) -> int:
    """For a rate in recipients a second, and calls that take so many seconds until they are recorded."""
    return math.ceil(rate * (RESERVE * seconds + AHEAD_SECONDS))
