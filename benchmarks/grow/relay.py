"""Measure one relay's rate, and an event's cost as the outbox grows: ``make bench-relay``.

The outbox holds a backlog of so many pending rows, or as many handled ones before a few pending. One
``relay_outbox`` publishes, and is measured while it is under way.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import process_tree
from benchmarks.compare import report
from benchmarks.compare.course import QUEUES, python
from benchmarks.installation import Databases, environment
from benchmarks.lean_aws import stand_in
from benchmarks.lean_aws.stand_in import ROOT, WORK_CORE, StandIn, pin

START_SECONDS = 120.0
IDLE_SECONDS = 3.0
# Before the clock starts: connections are open and statements known.
WARM_UP = 100
PENDING_AFTER_HISTORY = 5000
FIRST_PENDING = 100_000_000


@dataclass(frozen=True)
class Case:
    """``groups`` 0 is the standard queue."""

    rows: int
    groups: int
    is_backlog: bool

    @property
    def title(self) -> str:
        """Name the case for the table."""
        queue = f"FIFO, {self.groups} groups" if self.groups else "standard"
        return f"{queue} | {self.rows:,} {'pending' if self.is_backlog else 'handled'}"


@dataclass(frozen=True)
class Pace:
    """Events a second, and the relay's CPU time for each; the database's is not in it."""

    rate: float
    cpu_ms: float


def main() -> None:
    """Print one line a case; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000", help="rows in the outbox")
    parser.add_argument("--groups", type=int, default=500, help="of the FIFO queue")
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure each")
    parser.add_argument("--latency-sqs", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    stand_in.keep_off()
    cases = [
        Case(int(size), groups, is_backlog)
        for groups in (0, options.groups)
        for is_backlog in (True, False)
        for size in options.sizes.split(",")
    ]
    paces: dict[str, Pace] = {}
    with tempfile.TemporaryDirectory(prefix="notifier-relay-") as folder, stand_in.running() as aws:
        databases = Databases(Path(folder))
        for case in cases:
            database = databases.fresh(options.database)
            settings = environment(aws.endpoint, database=database)
            _fill(settings, case)
            aws.begin(QUEUES, ses_ms=0, sqs_ms=options.latency_sqs)
            paces[case.title] = pace = _run(aws, settings, Path(folder), options.seconds)
            print(f"{case.title}: {pace.rate:.0f} events/s, {pace.cpu_ms:.2f} ms", flush=True)
    lines = [f"| {title} | {pace.rate:.0f} | {pace.cpu_ms:.2f} |" for title, pace in paces.items()]
    head = "| queue | rows in the outbox | events/s | CPU ms per event |\n|---|---|--:|--:|"
    if options.write:
        report.replace_section(report.DOCUMENT, "relay", "\n".join([head, *lines]))


def _fill(settings: dict[str, str], case: Case) -> None:
    queue = ["--queue=transactions", f"--groups={case.groups}"] if case.groups else []
    if case.is_backlog:
        python(settings, "benchmarks.grow.table_rows", "pending", 0, case.rows, *queue)
        return
    python(settings, "benchmarks.grow.table_rows", "handled", 0, case.rows, *queue)
    python(
        settings,
        "benchmarks.grow.table_rows",
        "pending",
        FIRST_PENDING,
        PENDING_AFTER_HISTORY,
        *queue,
    )


def _run(aws: StandIn, settings: dict[str, str], folder: Path, seconds: float) -> Pace:
    with (folder / "relay.log").open("wb") as log:
        relay = subprocess.Popen(
            [sys.executable, "manage.py", "relay_outbox"],
            cwd=ROOT,
            env=settings,
            stdout=log,
            stderr=log,
            preexec_fn=pin(WORK_CORE),
        )
    try:
        until = time.monotonic() + START_SECONDS
        while (before := aws.standing())["sent"] < WARM_UP and time.monotonic() < until:
            time.sleep(0.05)
        cpu = process_tree.usage(relay.pid).cpu_seconds
        return _pace(aws, relay.pid, before, cpu, seconds)
    finally:
        relay.kill()
        relay.wait()


def _pace(
    aws: StandIn, pid: int, before: dict[str, float], cpu_before: float, seconds: float
) -> Pace:
    """Measure the pace until the time is over or nothing more comes."""
    last, cpu = before, cpu_before
    while (now := aws.standing())["now"] - before["now"] < seconds:
        if now["sent"] > last["sent"]:
            last, cpu = now, process_tree.usage(pid).cpu_seconds
        elif now["now"] - last["now"] > IDLE_SECONDS:
            break
        time.sleep(0.1)
    sent = max(1.0, last["sent"] - before["sent"])
    return Pace(
        rate=sent / max(0.001, last["now"] - before["now"]),
        cpu_ms=(cpu - cpu_before) * 1000 / sent,
    )


if __name__ == "__main__":
    main()
