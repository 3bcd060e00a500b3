"""Kill, freeze and stop real processes while orders are placed, then let the judge compare: ``make soak``.

Consumers, each with relay and sweeper, relays of their own and producers work on a fresh database against
``benchmarks.aws_stub``, which doubles, delays, loses and cuts. The timers are those of production divided by about ten,
their rules kept (``emails.checks``). It ends when nothing is owed any more, or at the time limit, and exits with 1
unless nothing was lost, sent twice, invented or out of order.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.aws_stub.faults import AMBIGUOUS
from benchmarks.crash import unfinished
from benchmarks.crash.fleet import Chaos, Member
from benchmarks.crash.hangs import HANG_SECONDS, Hangs
from benchmarks.crash.judge import Verdict, judge
from benchmarks.crash.rig import CONCURRENCY, SHORT_TIMERS, Rig

FAULTS = {
    "sqs_error": 0.005,
    "send_cut": 0.01,
    "entry_failed": 0.01,
    "message_lost": 0.002,
    "message_doubled": 0.01,
    "event_delayed": 0.05,
    "event_doubled": 0.02,
    "ses_throttled": 0.001,
    "ses_slow": 0.002,
    "ses_cut_before": 0.002,
    "ses_503_before": 0.002,
    "ses_cut_after": 0.01,
    "ses_503_after": 0.002,
}
# Every message three times, deletes lost, SES accepting and then failing; the database hangs besides.
RANDOM_FAULTS = FAULTS | {
    "message_tripled": 1.0,
    "delete_lost": 0.1,
    "event_doubled": 0.2,
    "ses_cut_after": 0.05,
    "ses_503_after": 0.05,
}
# A lost delete costs a receive that no failure explains: with five of them SQS would take the message for dead.
RANDOM_SETTINGS = {"QUEUE_MAX_RECEIVE_COUNT": 30}
BOTO3 = {"SQS_CLIENT": "boto3", "SES_CLIENT": "boto3"}
# After the last order: long enough to strike while doubts are resolved, short enough to end.
STRIKES_SECONDS = 60.0
LOOK_SECONDS = 0.25
# Whether all is settled is a question to whole tables.
SETTLED_SECONDS = 2.0
PROGRESS_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """The result of a soak."""

    verdict: Verdict
    in_doubt: int
    parked_at_most: int
    is_settled: bool
    kills: int
    crashes: int
    seconds: float
    details: dict[str, Any]

    @property
    def is_clean(self) -> bool:
        """True if ``make soak`` exits with 0."""
        return (
            self.verdict.is_clean
            and self.is_settled
            and not self.crashes
            and self.in_doubt <= self.parked_at_most
        )


def main() -> None:
    """Print the table; exit with 1 unless it is clean."""
    options = _parser().parse_args()
    outcome = run(options)
    print_table(outcome, options)
    sys.exit(0 if outcome.is_clean else 1)


def run(options: argparse.Namespace) -> Outcome:
    """One soak."""
    rates = RANDOM_FAULTS if options.random else FAULTS
    faults = {name: min(1.0, rate * options.faults) for name, rate in rates.items()}
    settings: dict[str, object] = {**SHORT_TIMERS, **(BOTO3 if options.client == "boto3" else {})}
    with Rig(
        options.folder,
        database=options.database,
        events=options.events == "on",
        settings=settings | (RANDOM_SETTINGS if options.random else {}),
        stub={"seed": options.seed, **faults},
        warm=True,
    ) as rig:
        for _ in range(options.consumers):
            rig.consumer()
        for _ in range(options.relays):
            rig.relay()
        producers = [
            rig.producer(
                number,
                producers=options.producers,
                count=options.count,
                rate=options.rate,
                seed=options.seed,
                transactions=options.transactions,
                accounts=options.accounts,
            )
            for number in range(options.producers)
        ]
        return Soak(rig, producers, options).run()


def print_table(outcome: Outcome, options: argparse.Namespace) -> None:
    """One line a figure."""
    verdict = outcome.verdict
    rows: dict[str, Any] = {
        "database, events, clients": f"{options.database}, {options.events}, {options.client}",
        "seed": options.seed,
        "orders and transactions committed": verdict.committed,
        "emails accepted": verdict.accepted,
        "lost": _listed(verdict.lost),
        "duplicates": _listed(verdict.duplicates),
        "phantoms": _listed(verdict.phantoms),
        "out of order": _listed(verdict.out_of_order),
        "unexpected dead letters": _listed(verdict.unexpected_dead),
        "in doubt at the end": f"{outcome.in_doubt} (at most {outcome.parked_at_most})",
        "settled": "yes" if outcome.is_settled else "no, the time limit came first",
        "crashes of their own": outcome.crashes,
        "kills": outcome.kills,
        "minutes": f"{outcome.seconds / 60:.1f}",
        "emails a second": f"{verdict.accepted / outcome.seconds:.1f}",
    }
    for name, value in (rows | outcome.details).items():
        print(f"{name:36} {value}")
    print("clean" if outcome.is_clean else "NOT CLEAN")


class Soak:
    """The soak from the first order to the verdict."""

    def __init__(self, rig: Rig, producers: Sequence[Member], options: argparse.Namespace) -> None:
        self._rig = rig
        self._producers = producers
        self._options = options
        self._began = time.monotonic()
        self._chaos = Chaos(rig.members, seed=options.seed)
        self._hangs = Hangs(rig, seed=options.seed, seconds=HANG_SECONDS if options.random else 0)
        self._produced_at = 0.0
        self._looked_at = 0.0
        self._reported_at = self._began

    def run(self) -> Outcome:
        """Strike until a while after the last order; end when all is settled, or at the time limit."""
        is_settled = False
        while not is_settled and self._seconds() < self._options.minutes * 60:
            time.sleep(LOOK_SECONDS)
            for member in self._rig.members:
                member.look_after()
            if not self._produced_at and all(producer.is_done for producer in self._producers):
                self._produced_at = time.monotonic()
            if not self._produced_at or time.monotonic() < self._produced_at + STRIKES_SECONDS:
                self._chaos.step()
                self._hangs.step()
            else:
                self._hangs.end()
            if self._hangs.is_hung:
                continue
            self._report()
            is_settled = bool(self._produced_at) and self._is_settled()
        self._hangs.end()
        return self._outcome(is_settled=is_settled)

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _is_settled(self) -> bool:
        if time.monotonic() < self._looked_at + SETTLED_SECONDS:
            return False
        self._looked_at = time.monotonic()
        if any(visible + hidden for visible, hidden in self._rig.control()["queues"].values()):
            return False
        return not unfinished.owed(parked=self._options.events == "off")

    def _report(self) -> None:
        """A line now and then, so that half an hour is not silent."""
        if time.monotonic() < self._reported_at + PROGRESS_SECONDS:
            return
        self._reported_at = time.monotonic()
        print(
            f"{self._seconds():5.0f} s  committed {self._rig.count_committed()}"
            f"  accepted {self._rig.control()['accepted']}"
            f"  kills {self._chaos.counts['killed']}  owed {unfinished.owed()}",
            flush=True,
        )

    def _outcome(self, *, is_settled: bool) -> Outcome:
        stub = self._rig.control()
        strikes = self._chaos.counts
        ambiguous = sum(stub["faults"].get(name, 0) for name in AMBIGUOUS)
        in_doubt = unfinished.in_doubt()
        return Outcome(
            verdict=judge(
                self._rig.committed(),
                self._rig.accepted(),
                in_doubt=in_doubt,
                dead=unfinished.dead(),
            ),
            in_doubt=len(in_doubt),
            parked_at_most=0
            if self._options.events == "on"
            else strikes.total() * CONCURRENCY + ambiguous,
            is_settled=is_settled,
            kills=strikes["killed"],
            crashes=sum(member.crashes for member in self._rig.members),
            seconds=self._seconds(),
            details={
                "seconds of orders": round((self._produced_at or time.monotonic()) - self._began),
                "strikes": dict(strikes) | {"database hung": self._hangs.count},
                "faults": {name: count for name, count in stub["faults"].items() if count},
                "attempts": unfinished.attempts(),
            },
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="orders and transactions")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", choices=["on", "off"], default="on")
    parser.add_argument("--client", choices=["lean", "boto3"], default="lean")
    parser.add_argument("--minutes", type=float, default=10.0, help="time limit")
    parser.add_argument("--rate", type=float, default=30.0, help="orders a second")
    parser.add_argument("--faults", type=float, default=1.0, help="so many times as many")
    parser.add_argument(
        "--random",
        action="store_true",
        help="every message three times, deletes lost, SES accepting and then failing, the database hanging for 30 s",
    )
    parser.add_argument("--transactions", type=float, default=0.25, help="their share of all")
    parser.add_argument("--accounts", type=int, default=20, help="so many FIFO groups")
    parser.add_argument("--consumers", type=int, default=3, help="each with a relay")
    parser.add_argument("--relays", type=int, default=0, help="besides those")
    parser.add_argument("--producers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    return parser


def _listed(numbers: Sequence[str]) -> str:
    return f"{len(numbers)} {' '.join(numbers[:10])}".strip()


if __name__ == "__main__":
    main()
