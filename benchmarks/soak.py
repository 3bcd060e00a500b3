"""Kill, freeze and stop real processes while orders are placed, then let the judge compare: ``make soak``.

Three consumers, each with relay and sweeper, and one producer work on a fresh database against ``benchmarks.aws_stub``,
which doubles, delays, loses and cuts. The timers are those of production divided by about ten, their rules kept
(``emails.checks``). It ends when nothing is owed any more, or at the time limit, and exits with 1 unless nothing
was lost, sent twice, invented or out of order.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import standing
from benchmarks.aws_stub.faults import AMBIGUOUS
from benchmarks.fleet import ROOT, Chaos, Member
from benchmarks.judge import Verdict, judge, read_acceptances
from benchmarks.ledger import Ledger
from tests import postgres

CONSUMERS = 3
CONCURRENCY = 8
# Production: LEASE 60, visibility 90, grace 900, distance 450, drain 450 …
SETTINGS = {
    "SES_READ_SECONDS": 3,
    "LEASE_SECONDS": 8,
    "QUEUE_VISIBILITY_SECONDS": 10,
    "QUEUE_WAIT_SECONDS": 2,
    "DOUBT_GRACE_SECONDS": 14,
    "DOUBT_DISTANCE_SECONDS": 7,
    "DOUBT_DRAIN_SECONDS": 30,
    "SWEEP_SECONDS": 2,
    "RETRY_BASE_SECONDS": 1,
    "RETRY_MAX_SECONDS": 4,
    "OUTBOX_STALE_SECONDS": 20,
    "BREAKER_PROBE_SECONDS": 2,
    # Here a message that waits for a doubt to end loses its consumer every few seconds.
    "QUEUE_MAX_RECEIVE_COUNT": 15,
}
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
# After the last order: long enough to strike while doubts are resolved, short enough to end.
STRIKES_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """What a soak led to."""

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
        """What ``make soak`` exits by."""
        return (
            self.verdict.is_clean
            and self.is_settled
            and not self.crashes
            and self.in_doubt <= self.parked_at_most
        )


def main() -> None:
    """Print the table; exit with 1 unless it is clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="orders and transactions")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", choices=["on", "off"], default="on")
    parser.add_argument("--minutes", type=float, default=10.0, help="time limit")
    parser.add_argument("--rate", type=float, default=30.0, help="orders a second")
    parser.add_argument("--faults", type=float, default=1.0, help="so many times as many")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    # So that its processes end with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if options.folder:
        options.folder.mkdir(parents=True)
        outcome = run(options, options.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="notifier-soak-") as folder:
            outcome = run(options, Path(folder))
    print_table(outcome, options)
    sys.exit(0 if outcome.is_clean else 1)


def run(options: argparse.Namespace, folder: Path) -> Outcome:
    """One soak with its files in this folder."""
    stub, endpoint = _start_stub(folder, options)
    environment = _environment(folder, endpoint, options)
    os.environ.update(environment)
    members: list[Member] = []
    try:
        for arguments in (["migrate", "--verbosity=0"], ["provision"]):
            subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        members += _consumers(environment, folder)
        producer = _producer(environment, folder, options)
        members.append(producer)
        return _watch(members, producer, endpoint, folder, options)
    finally:
        for member in members:
            member.end()
        stub.terminate()
        stub.wait()


def print_table(outcome: Outcome, options: argparse.Namespace) -> None:
    """One line a figure."""
    verdict = outcome.verdict
    rows: dict[str, Any] = {
        "database, events": f"{options.database}, {options.events}",
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


def _watch(
    members: Sequence[Member],
    producer: Member,
    endpoint: str,
    folder: Path,
    options: argparse.Namespace,
) -> Outcome:
    began = time.monotonic()
    chaos = Chaos(members, seed=options.seed)
    calm_at = began + options.minutes * 60
    is_settled = False
    produced_at = 0.0
    while not is_settled and time.monotonic() < calm_at:
        time.sleep(0.25)
        for member in members:
            member.look_after()
        if producer.is_done and not produced_at:
            produced_at = time.monotonic()
        if not produced_at or time.monotonic() < produced_at + STRIKES_SECONDS:
            chaos.step()
        is_settled = bool(produced_at) and _is_settled(endpoint, options)
    stub = control(endpoint)
    kills = chaos.counts["killed"]
    ambiguous = sum(stub["faults"].get(name, 0) for name in AMBIGUOUS)
    in_doubt = standing.in_doubt()
    return Outcome(
        verdict=judge(
            Ledger(folder / "ledger").committed(),
            read_acceptances(folder / "accepted"),
            in_doubt=in_doubt,
            dead=standing.dead(),
        ),
        in_doubt=len(in_doubt),
        parked_at_most=0
        if options.events == "on"
        else chaos.counts.total() * CONCURRENCY + ambiguous,
        is_settled=is_settled,
        kills=kills,
        crashes=sum(member.crashes for member in members),
        seconds=time.monotonic() - began,
        details={
            "strikes": dict(chaos.counts),
            "faults": {name: count for name, count in stub["faults"].items() if count},
            "attempts": standing.attempts(),
        },
    )


def _is_settled(endpoint: str, options: argparse.Namespace) -> bool:
    if any(visible + hidden for visible, hidden in control(endpoint)["queues"].values()):
        return False
    return not standing.owed(parked=options.events == "off")


def control(endpoint: str) -> dict[str, Any]:
    """How the stub stands."""
    with urllib.request.urlopen(f"{endpoint}/control", timeout=10) as answer:  # noqa: S310  # our own
        found: dict[str, Any] = json.load(answer)
    return found


def _start_stub(folder: Path, options: argparse.Namespace) -> tuple[subprocess.Popen[str], str]:
    faults = [
        f"--{name.replace('_', '-')}={rate * options.faults}" for name, rate in FAULTS.items()
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.aws_stub", f"--acceptances={folder / 'accepted'}"]
        + [f"--seed={options.seed}", *faults],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=(folder / "stub.log").open("w"),
        text=True,
    )
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    return process, process.stdout.readline().strip()


def _environment(folder: Path, endpoint: str, options: argparse.Namespace) -> dict[str, str]:
    ours = ("AWS_", "QUEUE_", "SES_", "SANDBOX", "FAILPOINTS", "DATABASE_URL", "DEBUG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    database = (
        f"sqlite:///{folder.resolve() / 'db.sqlite3'}"
        if options.database == "sqlite"
        else postgres.start()
    )
    events = {"SES_EVENTS_TOPIC": "notifier-ses-events", "SES_CONFIGURATION_SET": "notifier"}
    return (
        kept
        | {
            "DJANGO_SETTINGS_MODULE": "notifier.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "soak-" + "x" * 50,
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": database,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "soak",
            "AWS_SECRET_ACCESS_KEY": "soak",
            "SES_FROM_EMAIL": "Notifier Shop <shop@example.com>",
            "JOURNAL_DIR": str(folder.resolve() / "journal"),
        }
        | {name: str(value) for name, value in SETTINGS.items()}
        | (events if options.events == "on" else {})
    )


def _consumers(environment: dict[str, str], folder: Path) -> list[Member]:
    command = [sys.executable, "manage.py", "consume_queue", f"--concurrency={CONCURRENCY}"]
    return [
        Member(command, environment=environment, log=folder / f"{name}.log")
        for name in (f"consumer-{number}" for number in range(CONSUMERS))
    ]


def _producer(environment: dict[str, str], folder: Path, options: argparse.Namespace) -> Member:
    command = [
        *(sys.executable, "-m", "benchmarks.producer"),
        f"--ledger={folder / 'ledger'}",
        f"--count={options.count}",
        f"--rate={options.rate}",
        f"--seed={options.seed}",
    ]
    return Member(command, environment=environment, log=folder / "producer.log")


def _listed(numbers: Sequence[str]) -> str:
    return f"{len(numbers)} {' '.join(numbers[:10])}".strip()


if __name__ == "__main__":
    main()
