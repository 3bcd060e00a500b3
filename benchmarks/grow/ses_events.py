"""Measure how fast one consumer reads SES's events: ``make bench-events``.

The emails are in the database as sent, their events wait in the queue: of each email Send and Delivery, of every
fiftieth a bounce in place of the second. One ``consume_queue`` drains it, on a core of its own; the database and the
stand-in for SQS have the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import process_tree
from benchmarks.compare import report
from benchmarks.compare.course import QUEUES, python, require_calm
from benchmarks.compare.trial import TrialError
from benchmarks.installation import Databases, environment
from benchmarks.lean_aws import stand_in
from benchmarks.lean_aws.stand_in import ROOT, WORK_CORE, StandIn, pin

EVENTS_QUEUE = "notifier-ses-events"
EVENTS = {"SES_EVENTS_TOPIC": EVENTS_QUEUE, "SES_CONFIGURATION_SET": "notifier"}
CLIENTS = ("boto3", "lean")
FIRST = 100_000_000
ONE_BOUNCES_OF = 50
START_SECONDS = 60.0
IDLE_SECONDS = 20.0


@dataclass(frozen=True)
class Pace:
    """Events a second, and the consumer's CPU time for each; the database's is not in it."""

    rate: float
    cpu_ms: float
    memory_mb: float


def main() -> None:
    """Print one line for each client of SQS and number of threads; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="events")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="of SQS")
    parser.add_argument("--threads", default="8,32", help="of the consumer")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    stand_in.keep_off()
    lines = []
    with tempfile.TemporaryDirectory(prefix="notifier-events-") as name, stand_in.running() as aws:
        databases = Databases(Path(name))
        template = environment(aws.endpoint, database=databases.template("postgresql"))
        python(template, "benchmarks.grow.table_rows", "sent", FIRST, options.n // 2)
        for client, threads in product(options.clients.split(","), options.threads.split(",")):
            database = databases.fresh("postgresql")
            settings = environment(aws.endpoint, database=database, SQS_CLIENT=client, **EVENTS)
            pace = _run(aws, settings, Path(name), threads)
            lines.append(
                f"| {client} | {threads} | {options.n:,} | {pace.rate:.0f} | {pace.cpu_ms:.2f} | {pace.memory_mb:.0f} |"
            )
            print(lines[-1], flush=True)
    head = (
        "| client of SQS | threads | events | events/s | CPU ms per event | memory MB |\n"
        "|---|--:|--:|--:|--:|--:|"
    )
    if options.write:
        report.replace_section(report.DOCUMENT, "events", "\n".join([head, *lines]))


def _run(aws: StandIn, settings: dict[str, str], folder: Path, threads: str) -> Pace:
    aws.begin([*QUEUES, EVENTS_QUEUE, f"{EVENTS_QUEUE}-dlq"], ses_ms=0, sqs_ms=0)
    emails = _emails(settings["DATABASE_URL"])
    bodies = [body for number, email in enumerate(emails) for body in _told(number, *email)]
    aws.put(EVENTS_QUEUE, bodies)
    log = folder / f"events-{settings['SQS_CLIENT']}.log"
    with _consuming(settings, log, threads) as consumer:
        pace = _pace(aws, consumer.pid, len(bodies))
    require_calm(log)
    _require_all_moved_on(settings["DATABASE_URL"])
    return pace


@contextmanager
def _consuming(
    settings: dict[str, str], log: Path, threads: str
) -> Iterator[subprocess.Popen[bytes]]:
    command = ["manage.py", "consume_queue", "ses-events", f"--concurrency={threads}"]
    with log.open("wb") as output:
        consumer = subprocess.Popen(
            [sys.executable, *command, "--no-relay"],
            cwd=ROOT,
            env=settings,
            stdout=output,
            stderr=output,
            preexec_fn=pin(WORK_CORE),
        )
    try:
        yield consumer
    finally:
        consumer.kill()
        consumer.wait()


def _pace(aws: StandIn, pid: int, count: int) -> Pace:
    """Measure the pace from the opened gate to the last delete."""
    until = time.monotonic() + START_SECONDS
    while not aws.standing()["polled"]:
        if time.monotonic() > until:
            raise TrialError("did not receive")
        time.sleep(0.1)
    before = process_tree.usage(pid).cpu_seconds
    aws.open()
    last, standing = 0, aws.standing()
    moved = time.monotonic()
    while standing["deleted"] < count:
        if standing["deleted"] > last:
            last, moved = standing["deleted"], time.monotonic()
        elif time.monotonic() - moved > IDLE_SECONDS:
            raise TrialError(f"stopped at {last} of {count}")
        time.sleep(0.2)
        standing = aws.standing()
    usage = process_tree.usage(pid)
    cpu_ms = (usage.cpu_seconds - before) * 1000 / count
    return Pace(count / standing["seconds"], cpu_ms, usage.memory_mb)


def _emails(database: str) -> list[tuple[str, str, str]]:
    """Return each notification's id, SES's message id and the recipient."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT id::text, provider_message_id, recipient FROM emails_notification"
        )
        return rows.fetchall()


def _require_all_moved_on(database: str) -> None:
    """Fail unless each event was recorded: one that was only deleted would look like a fast success."""
    with psycopg.connect(database) as connection:
        left = connection.execute(
            "SELECT count(*) FROM emails_notification WHERE delivery_status = 'none'"
        ).fetchone()
    if left != (0,):
        raise TrialError(f"{left} emails without a fate")


def _told(number: int, pk: str, message_id: str, recipient: str) -> list[str]:
    second = "Bounce" if number % ONE_BOUNCES_OF == 0 else "Delivery"
    return [json.dumps(_event(kind, pk, message_id, recipient)) for kind in ("Send", second)]


def _event(kind: str, pk: str, message_id: str, recipient: str) -> dict[str, Any]:
    """SES developer guide, "Examples of event data that Amazon SES publishes to Amazon SNS"."""
    return {
        "eventType": kind,
        "mail": {
            "timestamp": "2026-11-22T10:00:00.000Z",
            "source": "Notifier Shop <shop@example.com>",
            "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/shop@example.com",
            "sendingAccountId": "123456789012",
            "messageId": message_id,
            "destination": [recipient],
            "headersTruncated": False,
            "headers": [
                {"name": "From", "value": "Notifier Shop <shop@example.com>"},
                {"name": "To", "value": recipient},
                {"name": "Subject", "value": "Your order is confirmed"},
                {"name": "MIME-Version", "value": "1.0"},
            ],
            "commonHeaders": {
                "from": ["Notifier Shop <shop@example.com>"],
                "to": [recipient],
                "messageId": message_id,
                "subject": "Your order is confirmed",
            },
            "tags": {
                "ses:configuration-set": ["notifier"],
                "ses:source-ip": ["192.0.2.1"],
                "ses:from-domain": ["example.com"],
                "ses:caller-identity": ["notifier"],
                "nid": [pk],
                "att": ["1"],
            },
        },
        kind.lower(): _DETAILS[kind] | _named(kind, recipient),
    }


_DETAILS: dict[str, dict[str, Any]] = {
    "Send": {},
    "Delivery": {
        "timestamp": "2026-11-22T10:00:02.000Z",
        "processingTimeMillis": 2000,
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": "a8-70.smtp-out.amazonses.com",
    },
    "Bounce": {
        "timestamp": "2026-11-22T10:00:02.000Z",
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "feedbackId": "0102017f0000-00000000-0000-0000-0000-000000000000-000000",
        "reportingMTA": "dsn; a8-70.smtp-out.amazonses.com",
    },
}


def _named(kind: str, recipient: str) -> dict[str, Any]:
    if kind == "Bounce":
        answer = {"status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
        return {"bouncedRecipients": [{"emailAddress": recipient, "action": "failed", **answer}]}
    return {"recipients": [recipient]} if kind == "Delivery" else {}


if __name__ == "__main__":
    main()
