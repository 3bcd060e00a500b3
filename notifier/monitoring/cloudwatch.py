"""Write the gauges as JSON lines that CloudWatch Logs turns into metrics.

Source: CloudWatch user guide, "Specification: Embedded metric format". Once a minute one
consumer writes for all to its standard output. Ship that to a log group; then no process needs the right to call
CloudWatch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.conf import settings

from notifier.monitoring import gauges
from notifier.monitoring.gauges import Gauge
from queues.registry import watches
from queues.upkeep import duties

NAMESPACE = "Notifier"
EVERY_SECONDS = 60
DUTY = "embedded metrics"
# CloudWatch accepts a hundred metrics in one line.
MAX_METRICS = 100


@watches
def write() -> int:
    """Write the lines if ``EMBEDDED_METRICS`` is on and they are due; return how many."""
    if not settings.EMBEDDED_METRICS:
        return 0
    now = duties.take(DUTY, every=EVERY_SECONDS)
    if now is None:
        return 0
    lines = list(rendered(gauges.read(), milliseconds=int(now.timestamp() * 1000)))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    return len(lines)


def rendered(found: Iterable[Gauge], *, milliseconds: int) -> Iterator[str]:
    """Render one line for the whole system, and one for each queue with the dimension ``Queue``."""
    by_queue = sorted(found, key=lambda gauge: gauge.queue)
    for queue, of_queue in groupby(by_queue, key=lambda gauge: gauge.queue):
        mine = list(of_queue)
        for start in range(0, len(mine), MAX_METRICS):
            yield json.dumps(_line(mine[start : start + MAX_METRICS], queue, milliseconds))


def _line(found: Sequence[Gauge], queue: str, milliseconds: int) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Queue"] if queue else []],
        "Metrics": [{"Name": gauge.name, "Unit": gauge.unit} for gauge in found],
    }
    line: dict[str, Any] = {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}}
    if queue:
        line["Queue"] = queue
    return line | {gauge.name: gauge.value for gauge in found}
