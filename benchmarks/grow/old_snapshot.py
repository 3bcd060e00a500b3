"""Measure whether relay and claims keep their speed while somebody holds an old snapshot: ``make bench-snapshot``.

A transaction that stays open, of a report or a backup, keeps PostgreSQL from removing any version of a row that ended
after it began. A queue in a table may then walk past all that it has done. Here a REPEATABLE READ transaction is open
while events of so many minutes pass, as fast as they can; then some more pass in small batches and each statement is
timed. In a second run nobody holds a snapshot.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import django
import psycopg

from benchmarks.compare import report
from benchmarks.compare.course import QUEUES
from benchmarks.installation import Databases, environment, postgresql
from benchmarks.lean_aws import stand_in
from benchmarks.lean_aws.stand_in import ROOT

# While the snapshot grows old, and while each statement is timed.
CHURN_TOGETHER, TOGETHER = 250, 20
TIMED = 4000
# Minutes pass in one here, so vacuum looks as often.
NAPTIME = "5s"
# What takes less than this is not shown, unless it is a step of relay or consumer.
SHOWN_MS = 10.0


def main() -> None:
    """Print each statement's p95 without and with the snapshot, and the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="that the snapshot is old")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    parser.add_argument("--pass-events", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pass_events:
        print(json.dumps(_pass(options.pass_events)))
        return
    events = round(options.minutes * 60 * options.rate)
    with (
        tempfile.TemporaryDirectory(prefix="notifier-snapshot-") as folder,
        stand_in.running() as aws,
    ):
        databases = Databases(Path(folder))
        free, held = (_run(aws, databases, events, is_held=is_held) for is_held in (False, True))
    print(table(free, held))
    if options.write:
        report.replace_section(report.DOCUMENT, "snapshot", table(free, held))


def table(free: Mapping[str, Any], held: Mapping[str, Any]) -> str:
    """Markdown: the rates, and p95 by step; those of chores only if they take long."""
    lines = ["| p95 in ms | no old snapshot | old snapshot | ratio |", "|---|--:|--:|--:|"]
    rates = free["rate"], held["rate"]
    lines.append(f"| **events/s** | {rates[0]:.0f} | {rates[1]:.0f} | {rates[1] / rates[0]:.2f} |")
    for name, times in sorted(held["times"].items()):
        before, after = p95(free["times"][name]), p95(times)
        if after >= SHOWN_MS or not name.startswith("chore"):
            lines.append(f"| {name} | {before:.1f} | {after:.1f} | {after / before:.1f} |")
    return "\n".join(lines)


def p95(times: Sequence[float]) -> float:
    """Return the 95th percentile by the nearest rank."""
    return sorted(times)[int(len(times) * 0.95)]


def _run(aws: stand_in.StandIn, databases: Databases, events: int, *, is_held: bool) -> Any:
    aws.begin(QUEUES, ses_ms=0, sqs_ms=0)
    database = databases.fresh("postgresql")
    with psycopg.connect(postgresql().url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET autovacuum_naptime = '{NAPTIME}'")
        connection.execute("SELECT pg_reload_conf()")
    command = [sys.executable, "-m", __spec__.name, f"--pass-events={events}"]
    settings = environment(aws.endpoint, database=database, LOG_LEVEL="ERROR")
    with _old_snapshot(database) if is_held else nullcontext():
        found = subprocess.run(
            command, cwd=ROOT, env=settings, check=True, stdout=subprocess.PIPE
        ).stdout
    return json.loads(found)


@contextmanager
def _old_snapshot(database: str) -> Iterator[None]:
    with psycopg.connect(database) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM queues_outboxevent")
        yield
        connection.rollback()


def _pass(events: int) -> dict[str, Any]:
    """Run in a process of its own, whose environment names the database."""
    django.setup()
    from benchmarks.grow.whole_path import WholePath

    path = WholePath()
    path.run(events, together=CHURN_TOGETHER)
    return {"rate": path.run(TIMED, together=TOGETHER), "times": path.times}


if __name__ == "__main__":
    main()
