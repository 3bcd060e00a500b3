"""Kill everything at once under load, start it again, and time what follows: ``make recovery``.

Exits with 1 unless the first email after the restart is accepted within 10 seconds, what the crash hit is settled
within grace, drain and a minute, and the judge finds nothing lost, double, invented or out of order.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.crash import unfinished
from benchmarks.crash.judge import judge
from benchmarks.crash.rig import ENDLESS, SHORT_TIMERS, Rig, print_rows

CONSUMERS = 3
LOAD_SECONDS = 10.0
FIRST_SECONDS = 10.0
SETTLED_SECONDS = SHORT_TIMERS["DOUBT_GRACE_SECONDS"] + SHORT_TIMERS["DOUBT_DRAIN_SECONDS"] + 60.0
# SES takes its time, so that a crash finds calls under way.
SES_SECONDS = "0.02,0.3"


def main() -> None:
    """Exit with 1 unless the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20.0, help="orders a second")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    with Rig(
        options.folder,
        database=options.database,
        settings=SHORT_TIMERS,
        stub={"ses_seconds": SES_SECONDS},
    ) as rig:
        is_met = run(rig, options)
    print("met" if is_met else "NOT MET")
    sys.exit(0 if is_met else 1)


def run(rig: Rig, options: argparse.Namespace) -> bool:
    """Make so many crashes, each with its figures, then print the verdict."""
    for _ in range(CONSUMERS):
        rig.consumer()
    producer = rig.producer(count=ENDLESS, rate=options.rate)
    while not rig.control()["accepted"]:
        time.sleep(0.1)
    is_met = True
    for number in range(1, options.rounds + 1):
        time.sleep(LOAD_SECONDS)
        hit, first, settled = crash(rig)
        print_rows(
            {f"crash {number}": f"{hit} hit, first email {first:.1f} s, settled {settled:.1f} s"}
        )
        is_met &= first <= FIRST_SECONDS and settled <= SETTLED_SECONDS
    producer.ask_to_end()
    producer.end()
    unfinished.seconds_to_drain(most=SETTLED_SECONDS)
    verdict = judge(
        rig.committed(), rig.accepted(), in_doubt=unfinished.in_doubt(), dead=unfinished.dead()
    )
    print_rows(vars(verdict))
    return is_met and verdict.is_clean and not unfinished.in_doubt()


def crash(rig: Rig) -> tuple[int, float, float]:
    """Crash once; return the emails hit, the seconds to the first email, and those until all are settled."""
    for member in rig.members:
        member.signal(signal.SIGKILL)
    while any(member.exit_code is None for member in rig.members):
        time.sleep(0.01)
    # What is under way at SES it still accepts.
    time.sleep(1)
    crashed_at, accepted = datetime.now(UTC), _accepted(rig)
    hit = unfinished.uncertain()
    began = time.monotonic()
    for member in rig.members:
        member.look_after()
    while _accepted(rig) == accepted:
        time.sleep(0.05)
    first = time.monotonic() - began
    unfinished.seconds_to_drain(before=crashed_at, most=2 * SETTLED_SECONDS)
    return hit, first, time.monotonic() - began


def _accepted(rig: Rig) -> int:
    """Count the accepted emails without canaries: nobody waits for one."""
    return sum(bool(mail.number) for mail in rig.accepted())


if __name__ == "__main__":
    main()
