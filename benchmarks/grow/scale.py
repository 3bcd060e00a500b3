"""Measure what one email costs PostgreSQL, and compute what a rate needs: ``make bench-scale``.

Events are recorded in the outbox, each in a transaction of its own; then consumers publish and send them, and mark them
handled. The server's CPU time is that of all its processes. ``benchmarks.grow.needs`` computes the rest from these
parts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks import process_tree
from benchmarks.compare import report
from benchmarks.compare.course import QUEUES, python, require_calm
from benchmarks.compare.trial import TrialError
from benchmarks.grow import needs, server_cost
from benchmarks.grow.needs import Parts
from benchmarks.installation import Databases, environment
from benchmarks.lean_aws import stand_in
from benchmarks.lean_aws.stand_in import ROOT, StandIn

DOCUMENT = ROOT / "docs" / "how-to" / "size.md"
STUCK_SECONDS = 30.0
STOP_SECONDS = 30.0
# Commits of one row each, to learn how long the disk takes.
COMMITS = 200
SETTINGS = {
    "OUTBOX_PUBLISH_ON_COMMIT": "off",
    "USE_SES_V2": "on",
    "SES_CLIENT": "lean",
    "SQS_CLIENT": "lean",
    "LOG_LEVEL": "WARNING",
    "MALLOC_ARENA_MAX": "2",
}


def main() -> None:
    """Print the parts for each number of consumers, and what rates need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="emails of each run")
    parser.add_argument("--consumers", default="1,2,4", help="processes, one run each")
    parser.add_argument("--concurrency", type=int, default=64, help="of each process")
    parser.add_argument("--latency-ses", type=float, default=60.0, help="milliseconds")
    parser.add_argument("--latency-sqs", type=float, default=10.0, help="milliseconds")
    parser.add_argument("--statements", type=int, default=0, help="print so many of the dearest")
    parser.add_argument("--write", action="store_true", help="into docs/how-to/size.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notifier-scale-") as folder, stand_in.running() as aws:
        server_cost.like_production()
        runs = [
            run(aws, Path(folder), int(count), options) for count in options.consumers.split(",")
        ]
    # The dearest: what an installation is to be sized by.
    worst = max(runs, key=lambda parts: parts.server_ms + parts.recording_ms)
    sections = {
        "parts": needs.parts_table(runs),
        "limits": needs.limits_text(worst),
        "needs": needs.needs_table(worst),
    }
    for name, text in sections.items():
        print(text, end="\n\n")
        if options.write:
            report.replace_section(DOCUMENT, name, text)


def run(aws: StandIn, folder: Path, consumers: int, options: argparse.Namespace) -> Parts:
    """Record the events, let so many processes send them, and return an email's share of it all."""
    home = folder / str(consumers)
    home.mkdir()
    database = Databases(home).fresh("postgresql")
    settings = environment(aws.endpoint, database=database, **SETTINGS, JOURNAL_DIR=str(home))
    aws.begin(QUEUES, ses_ms=options.latency_ses, sqs_ms=options.latency_sqs)
    aws.open()
    meter = server_cost.Meter(database)
    with meter.measured() as recorded:
        python(settings, "benchmarks.grow.table_rows", "recorded", 0, options.n)
    with meter.measured() as sent:
        work = _sent(aws, settings, home / "consumers.log", database, consumers, options)
    for kind in (recorded[0], sent[0]) if options.statements else ():
        _print_statements(kind, options)
    parts = Parts(
        consumers=consumers,
        rate=options.n / work.seconds,
        consumer_ms=work.cpu_seconds * 1000 / options.n,
        connections=work.connections / consumers,
        recording_ms=recorded[0].cpu_seconds * 1000 / options.n,
        server_ms=sent[0].cpu_seconds * 1000 / options.n,
        statements=(recorded[0].calls + sent[0].calls) / options.n,
        commits=sent[0].commits / options.n,
        reservations=sent[0].calls_of("emails_sendrate SET tat_us") / options.n,
        wal_bytes=(recorded[0].wal_bytes + sent[0].wal_bytes) / options.n,
        commit_ms=_commit_ms(database),
        row_bytes=meter.row_bytes(database, options.n),
    )
    print(parts, flush=True)
    return parts


class _Work:
    """What the processes took: until the last email was handled, and connections at the time of the tenth."""

    def __init__(self, seconds: float, cpu_seconds: float, connections: int) -> None:
        self.seconds, self.cpu_seconds, self.connections = seconds, cpu_seconds, connections


def _sent(
    aws: StandIn,
    settings: dict[str, str],
    log: Path,
    database: str,
    consumers: int,
    options: argparse.Namespace,
) -> _Work:
    command = ["consume_queue", "orders", "--concurrency", options.concurrency]
    command += ["--processes", consumers] if consumers > 1 else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *map(str, command)],
            cwd=ROOT,
            env=settings,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(aws, options.n // 10, process, log)
        began = aws.standing()
        connections = _connections(database)
        _wait(aws, options.n, process, log)
        ended = aws.standing()
        cpu = process_tree.usage(process.pid).cpu_seconds
    finally:
        # What they did is counted when their connections end.
        process.terminate()
        process.wait(STOP_SECONDS)
    require_calm(log)
    share = (ended["deleted"] - began["deleted"]) / options.n
    return _Work((ended["now"] - began["now"]) / share, cpu, connections)


def _wait(aws: StandIn, deleted: int, process: subprocess.Popen[bytes], log: Path) -> None:
    moved_at, last = time.monotonic(), 0
    while (now := aws.standing()["deleted"]) < deleted:
        if now > last:
            moved_at, last = time.monotonic(), now
        if process.poll() is not None or time.monotonic() - moved_at > STUCK_SECONDS:
            raise TrialError(f"{now} of {deleted}\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _connections(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def _commit_ms(database: str) -> float:
    """Return how long a commit of one small row takes, as one connection that does nothing else sees it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE commits (at timestamptz)")
        began = time.perf_counter()
        for _ in range(COMMITS):
            connection.execute("INSERT INTO commits VALUES (now())")
        return (time.perf_counter() - began) * 1000 / COMMITS


def _print_statements(spent: server_cost.Spent, options: argparse.Namespace) -> None:
    for one in spent.statements[: options.statements]:
        text = " ".join(one.text.split())
        print(
            f"{one.calls / options.n:8.3f} calls {one.rows / options.n:7.3f} rows "
            f"{one.milliseconds / options.n:8.4f} ms {one.wal_bytes / options.n:8.0f} WAL  {text[:120]}"
        )


if __name__ == "__main__":
    main()
