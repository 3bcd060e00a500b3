"""Percentiles of times that are kept as counts, so that those of an hour can be told from those of its minutes.

Each time is counted in a class; a class ends a fifth above where it begins, so what is told is right to a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

WIDTH = 1.2
SHORTEST = 0.001
_PREFIX = "latency "


def counted(times: Iterable[float]) -> dict[str, int]:
    """Seconds, as counts by the names of their classes."""
    counts: dict[str, int] = {}
    for seconds in times:
        name = f"{_PREFIX}{round(math.log(max(seconds, SHORTEST), WIDTH))}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def percentile(counts: Mapping[str, int], share: float) -> float | None:
    """The seconds that this share of the counted times did not exceed; None if there are none."""
    classes = sorted(
        (int(name.removeprefix(_PREFIX)), count)
        for name, count in counts.items()
        if name.startswith(_PREFIX)
    )
    left = share * sum(count for _, count in classes)
    for number, count in classes:
        left -= count
        if left <= 0:
            return float(WIDTH**number)
    return None
