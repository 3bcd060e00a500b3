"""What a figure is lately."""

from __future__ import annotations

# Of the newest value: after sixteen others two thirds of a change are in.
WEIGHT = 1 / 16


class MovingAverage:
    """An exponential moving average, shared by threads without a lock: a value that is lost in a race is not missed."""

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, value: float) -> None:
        """The first one counts whole."""
        before = self.value
        self.value = value if before is None else before + (value - before) * WEIGHT
