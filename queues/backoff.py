"""Choose how long a failed message waits before it comes back."""

from __future__ import annotations

import random

from django.conf import settings


def delay(receive_count: int) -> int:
    """Return the seconds to wait, doubling from RETRY_BASE_SECONDS up to RETRY_MAX_SECONDS; with jitter, never 0.

    Half of the wait is fixed: with full jitter some messages would use up their receives within a second.
    """
    doublings = min(receive_count - 1, 20)
    most: int = min(settings.RETRY_MAX_SECONDS, settings.RETRY_BASE_SECONDS << doublings)
    return max(1, round(most / 2 + random.uniform(0, most / 2)))  # noqa: S311  # no secret
