"""Send a backlog with many consumers under SES's sending limit, which the stub enforces: ``make rate``.

Nobody is told the limit: the consumers learn it from SES. Exits with 1 unless nearly all of the limit was used, no
second had more than limit and burst, and SES never had to say that we are too fast.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rig import Rig, print_rows

GOAL_SHARE = 0.97
# Of the limit: what SES lets pass above it for a moment.
BURST_SHARE = 0.5
# From the start of consumers to the first moment that counts.
SETTLE_SECONDS = 5.0


def main() -> None:
    """Exit with 1 unless the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=50.0, help="emails a second that SES allows")
    parser.add_argument("--burst", type=float, help="half the limit unless given")
    parser.add_argument("--consumers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    burst = options.burst or options.limit * BURST_SHARE
    with Rig(
        options.folder,
        database=options.database,
        events=False,
        settings={"OUTBOX_PUBLISH_ON_COMMIT": "off"},
        stub={"max_send_rate": options.limit, "burst": burst},
    ) as rig:
        times, too_fast = measure(rig, options)
    mean, worst = len(times) / options.seconds, worst_second(times)
    print_rows(
        {
            "limit, burst": f"{options.limit:g}/s, {burst:g}",
            "consumers, database": f"{options.consumers}, {options.database}",
            "emails in so many seconds": f"{len(times)} in {options.seconds:g}",
            "mean": f"{mean:.2f}/s, {mean / options.limit:.1%} of the limit",
            "worst second": worst,
            "too fast for SES": too_fast,
        }
    )
    is_met = mean >= GOAL_SHARE * options.limit and worst <= options.limit + burst and not too_fast
    print("met" if is_met else "NOT MET")
    sys.exit(0 if is_met else 1)


def measure(rig: Rig, options: argparse.Namespace) -> tuple[list[float], int]:
    """When SES accepted, within the measured time, and how often it was too much."""
    seconds = SETTLE_SECONDS + options.seconds
    rig.fill(round(options.limit * (seconds + 2)), transactions=0)
    for _ in range(options.consumers):
        rig.consumer()
    while not rig.control()["accepted"]:
        time.sleep(0.1)
    began = time.time() + SETTLE_SECONDS
    time.sleep(seconds)
    times = [mail.time for mail in rig.accepted()]
    within = [moment for moment in times if began <= moment < began + options.seconds]
    return within, rig.control()["too_fast"]


def worst_second(times: Sequence[float]) -> int:
    """The most emails in any second, wherever it begins."""
    most = first = 0
    for place, moment in enumerate(times):
        while times[first] <= moment - 1:
            first += 1
        most = max(most, place - first + 1)
    return most


if __name__ == "__main__":
    main()
