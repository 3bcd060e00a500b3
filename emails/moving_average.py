"""What something takes lately."""

from __future__ import annotations

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
