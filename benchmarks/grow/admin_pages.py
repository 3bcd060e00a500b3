"""Measure the admin's pages as the tables grow: ``make bench-console``.

A database that holds so many handled events with their sent emails, and many open dead letters of four causes.
Each page is asked for by a superuser, in this process, without a server; the time is that of the whole response.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from benchmarks.compare import report
from benchmarks.compare.course import python
from benchmarks.compare.order_events import event_id, order_number
from benchmarks.installation import Databases, environment

CAUSES = ("MessageRejected", "RenderError", "UnknownType", "KeyError")
# Nothing listens there: what asks AWS must not wait for it.
NO_AWS = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Timing:
    """The times of one page: milliseconds of each request, and how many queries it makes."""

    milliseconds: list[float]
    queries: int

    @property
    def cells(self) -> str:
        """Write the figures as cells of the table."""
        low, high = min(self.milliseconds), max(self.milliseconds)
        median = statistics.median(self.milliseconds)
        return f"{median:.0f} ({low:.0f}–{high:.0f}) | {self.queries}"


def main() -> None:
    """Print one line a page; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events, each with its email")
    parser.add_argument("--letters", type=int, default=260_000, help="open dead letters")
    parser.add_argument("--times", type=int, default=7, help="requests of each page")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notifier-console-") as folder:
        url = Databases(Path(folder)).template(options.database)
        settings = environment(NO_AWS, database=url, DEBUG="on", LOG_LEVEL="CRITICAL")
        python(settings | {"DEBUG": "off"}, "benchmarks.grow.table_rows", "sent", 1, options.rows)
        os.environ.update(settings)
        django.setup()
        _without_debugging()
        table = _table(timings(options.letters, options.times), options)
    print(table)
    if options.write:
        report.replace_section(report.DOCUMENT, f"console-{options.database}", table)


def _without_debugging() -> None:
    """Turn DEBUG off: it is on for the static files of pages alone, and would keep each query."""
    from django.conf import settings

    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["testserver"]


def timings(letters: int, times: int) -> Iterator[tuple[str, Timing]]:
    """Yield each page with what it took, on the database that settings name."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    for title, address in _pages(_make_letters(letters)):
        yield title, _timed(client, address, times)


def _make_letters(count: int) -> Any:
    """Make dead letters as if collected within the last hours; return one of them."""
    from django.db import connection

    from queues.dead_letters import collecting
    from queues.models import DeadLetter

    letters = [
        DeadLetter(
            queue="orders",
            sqs_message_id=f"dead-{number}",
            event_id=event_id(number + 1),
            type="order.placed.v1",
            subject=order_number(number + 1),
            body="{}",
            code=CAUSES[number % len(CAUSES)],
            reason="the same for all of a cause",
            fingerprint=collecting.fingerprint(CAUSES[number % len(CAUSES)], "the same"),
            customer=f"customer-{number}",
            amount_cents=1250,
            currency="USD",
        )
        for number in range(count)
    ]
    DeadLetter.objects.bulk_create(letters, batch_size=500)
    with connection.cursor() as cursor:
        # As PostgreSQL does by itself after a minute.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return letters[0]


def _pages(letter: Any) -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    for title, name in (
        ("overview", "admin:index"),
        ("its live part", "overview-live"),
        ("dead letters by cause", "admin:queues_deadletter_groups"),
        ("dead letters", "admin:queues_deadletter_changelist"),
        ("redrives", "admin:queues_redrive_changelist"),
        ("outbox events", "admin:queues_outboxevent_changelist"),
        ("notifications", "admin:emails_notification_changelist"),
        ("reconciliation", "reconciliation"),
    ):
        yield title, reverse(name)
    yield "one cause", reverse("admin:queues_deadletter_group", args=[letter.fingerprint])
    start = reverse("admin:queues_redrive_start")
    yield "before a redrive", f"{start}?state__exact=open&fingerprint={letter.fingerprint}"
    yield "a dead letter", reverse("admin:queues_deadletter_change", args=[letter.pk])
    yield "timeline", reverse("timeline", args=[letter.event_id])
    yield "search by order", f"{reverse('search')}?q={letter.subject}"
    yield "search by address", f"{reverse('search')}?q=zoe77@example.com"
    yield "search by SES message id", f"{reverse('search')}?q=sent-77"


def _timed(client: Any, address: str, times: int) -> Timing:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        _get(client, address)
    # Before the next request, which forgets them.
    count = len(queries)
    return Timing([_get(client, address) for _ in range(times)], count)


def _get(client: Any, address: str) -> float:
    began = time.perf_counter()
    response = client.get(address)
    response.content  # noqa: B018  # it is made when it is read
    took = time.perf_counter() - began
    if response.status_code not in (200, 302):
        raise RuntimeError(f"{address} answered {response.status_code}")
    return took * 1000


def _table(timings: Iterator[tuple[str, Timing]], options: argparse.Namespace) -> str:
    head = f"{options.rows:,} events and emails, {options.letters:,} open dead letters"
    rows = [f"| {head} | ms, median of {options.times} | queries |", "|---|--:|--:|"]
    for title, timing in timings:
        rows.append(f"| {title} | {timing.cells} |")
        print(rows[-1], flush=True)
    return "\n".join(rows)


if __name__ == "__main__":
    main()
