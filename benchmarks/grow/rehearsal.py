"""Measure how long a rehearsal takes: ``python -m benchmarks.grow.rehearsal``.

A draft changes the subject of a template that thousands of emails of the last days were made with, and fixes its open
dead letters. One thread carries the rehearsal out, step by step as that of a consumer does.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import django

from benchmarks.compare.order_events import envelope, event_id, order, order_number
from benchmarks.grow.admin_pages import NO_AWS
from benchmarks.installation import Databases, environment

TEMPLATE = "order_confirmation"


def main() -> None:
    """Print the time of each stage, the counts, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=10_000)
    parser.add_argument("--letters", type=int, default=412, help="open dead letters")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notifier-rehearsal-") as folder:
        url = Databases(Path(folder)).template(options.database)
        os.environ.update(environment(NO_AWS, database=url, LOG_LEVEL="CRITICAL"))
        django.setup()
        _fill(options.emails, options.letters)
        _measure()


def _fill(emails: int, letters: int) -> None:
    from django.utils import timezone

    from emails.models import Notification
    from queues.models import DeadLetter

    now = timezone.now()
    for first in range(0, emails, 1_000):
        Notification.objects.bulk_create(
            Notification(
                event_id=event_id(number),
                event_type="order.placed.v1",
                subject=order_number(number),
                template=TEMPLATE,
                recipient=f"zoe{number}@example.com",
                context=order(number),
                state=Notification.State.SENT,
                next_at=now,
            )
            for number in range(first, min(first + 1_000, emails))
        )
    DeadLetter.objects.bulk_create(
        DeadLetter(
            queue="orders",
            sqs_message_id=f"dead-{number}",
            event_id=event_id(number),
            type="order.placed.v1",
            subject=order_number(number),
            body=envelope(number),
            code="RenderError",
        )
        for number in range(emails, emails + letters)
    )


def _measure() -> None:
    from emails.models import TemplateDraft
    from emails.rehearsal import jobs
    from emails.rendering import templates

    files = templates.own_sources(TEMPLATE)
    files["subject.hbs"] = "{{#ifeq currency 'EUR'}}In euros: {{/ifeq}}" + files["subject.hbs"]
    draft = TemplateDraft.objects.create(name=TEMPLATE, files=files, by="benchmark")
    before, began, cpu = _megabytes(), time.monotonic(), time.process_time()
    rehearsal = jobs.ask(draft, by="benchmark")
    stage, since = rehearsal.stage, began
    # No consumer is alive, so a thread of this process carries it out.
    while not rehearsal.ended_at:
        time.sleep(0.1)
        rehearsal.refresh_from_db(fields=["stage", "ended_at"])
        if rehearsal.stage != stage:
            print(f"{stage}: {time.monotonic() - since:.1f} s", flush=True)
            stage, since = rehearsal.stage, time.monotonic()
    rehearsal.refresh_from_db()
    print(
        f"{rehearsal.rendered} rendered both ways in {time.monotonic() - began:.1f} s, "
        f"{time.process_time() - cpu:.1f} s of it CPU, {rehearsal.cases.count()} cases, "
        f"{_megabytes() - before} MB more memory"
    )
    print(rehearsal.counts, rehearsal.error)


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
