"""The sending rate that SES allows, as a bucket that refills with it and holds a burst."""

from __future__ import annotations

import math
import time

# Of the rate: what SES lets pass above it for a moment.
BURST_SHARE = 0.5


class Allowance:
    """``rate`` is emails a second; without a burst it is told and not enforced."""

    def __init__(self, rate: float, *, burst: float = math.inf) -> None:
        self.rate = rate
        self.refused = 0
        self._burst = self._left = burst
        self._at = time.monotonic()

    def take(self) -> bool:
        """Return True and count it, if one email more is allowed now."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
