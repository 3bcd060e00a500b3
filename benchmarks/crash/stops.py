"""Stop busy consumers with SIGTERM at random moments, many times: ``make stops``.

The timers are those of production. Exits with 1 unless each ends within 25 seconds with exit code 0, nothing is in
flight or claimed afterwards, and SES got no email twice.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.crash import unfinished
from benchmarks.crash.fleet import Member
from benchmarks.crash.judge import judge
from benchmarks.crash.rig import Rig, print_rows

GOAL_SECONDS = 25.0
SES_SECONDS = "0.06,3"
AT_ONCE = 5
# Of being busy before the signal.
BUSY_SECONDS = (0.0, 6.0)
# One consumer has eight messages of each queue in work, of a second and a half.
EMAILS_A_STOP = 40


def main() -> None:
    """Exit with 1 unless the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    with Rig(
        options.folder,
        database=options.database,
        settings={"OUTBOX_PUBLISH_ON_COMMIT": "off"},
        stub={"ses_seconds": SES_SECONDS},
    ) as rig:
        rig.fill(options.stops * EMAILS_A_STOP)
        trial = Stops(rig, seed=options.seed)
        while len(trial.seconds) < options.stops:
            trial.round(min(AT_ONCE, options.stops - len(trial.seconds)))
        verdict = judge(rig.committed(), rig.accepted())
    print_rows(
        {
            "stops": len(trial.seconds),
            "slowest, median exit": f"{max(trial.seconds):.1f} s, {_median(trial.seconds):.1f} s",
            "exit codes": dict(trial.codes),
            "in flight afterwards": trial.in_flight,
            "claimed afterwards": trial.claimed,
            "emails accepted": verdict.accepted,
            "duplicates": len(verdict.duplicates),
            "out of order": len(verdict.out_of_order),
        }
    )
    is_met = (
        max(trial.seconds) <= GOAL_SECONDS
        and set(trial.codes) == {0}
        and not (trial.in_flight or trial.claimed or verdict.duplicates or verdict.out_of_order)
    )
    print("met" if is_met else "NOT MET")
    sys.exit(0 if is_met else 1)


class Stops:
    """Rounds of a few consumers at once; after each round nothing may be left in hand."""

    def __init__(self, rig: Rig, *, seed: int) -> None:
        self.seconds: list[float] = []
        self.codes: Counter[int | None] = Counter()
        self.in_flight = self.claimed = 0
        self._rig = rig
        self._random = random.Random(seed)  # noqa: S311  # no secret

    def round(self, count: int) -> None:
        """Start so many, stop each at a moment of its own, and look what is left."""
        consumers = [self._rig.consumer() for _ in range(count)]
        self._wait_until_busy(consumers)
        now = time.monotonic()
        due = {consumer: now + self._random.uniform(*BUSY_SECONDS) for consumer in consumers}
        asked: dict[Member, float] = {}
        while consumers:
            now = time.monotonic()
            for consumer in consumers:
                if consumer not in asked and due[consumer] <= now:
                    consumer.signal(signal.SIGTERM)
                    asked[consumer] = now
            for consumer in [one for one in asked if one.exit_code is not None]:
                self.seconds.append(now - asked.pop(consumer))
                consumers.remove(consumer)
                self.codes[consumer.exit_code] += 1
            if any(now - since > 2 * GOAL_SECONDS for since in asked.values()):
                sys.exit("a consumer does not stop")
            time.sleep(0.02)
        self._look()

    def _wait_until_busy(self, consumers: list[Member]) -> None:
        while any("received event=" not in consumer.output() for consumer in consumers):
            if any(consumer.exit_code is not None for consumer in consumers):
                sys.exit("a consumer ended by itself")
            time.sleep(0.05)

    def _look(self) -> None:
        queues = self._rig.control()["queues"]
        self.in_flight += sum(hidden for _, hidden in queues.values())
        self.claimed += unfinished.sending()


def _median(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


if __name__ == "__main__":
    main()
