"""``manage.py redrive``"""

from __future__ import annotations

import uuid
from argparse import ArgumentParser, ArgumentTypeError
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queues.models import DeadLetter, Redrive, RedriveItem
from queues.redrives import jobs

POLL_SECONDS = 1.0
CONDITIONS = ("queue", "subject", "code", "fingerprint")


class Command(BaseCommand):
    """What the admin's redrive does, for scripts."""

    help = (
        "Starts a redrive of open dead letters, and sends back what may go now; consumers do the rest. "
        "One letter goes first, then 10, then 100, then the rest, each when those before came through."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which letters: at least one condition, or --all."""
        parser.add_argument("--queue", help="queue alias")
        parser.add_argument("--subject", help="order number, transaction reference")
        parser.add_argument("--code", help="cause")
        parser.add_argument("--fingerprint", help="cause, as a dead letter's page has it")
        parser.add_argument(
            "--all", action="store_true", help="every open dead letter that is not parked"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be redriven")
        parser.add_argument("--reason", default="", help="for the record")
        parser.add_argument("--rate", type=_positive, metavar="N", help="letters a second")
        parser.add_argument(
            "--no-canary", action="store_true", help="all at once, or as fast as --rate says"
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="print the progress until every outcome is known; advances the redrive where no consumer does, but "
            "only a consumer handles the messages. Ends with 1 if letters came back or were left",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Start it, and say how to follow it."""
        conditions = {name: options[name] for name in CONDITIONS if options[name]}
        if not conditions and not options["all"]:
            raise CommandError("say which: --queue, --subject, --code, --fingerprint or --all")
        letters = DeadLetter.objects.waiting().filter(**conditions)
        if options["dry_run"]:
            self.stdout.write(f"would redrive {letters.count()} dead letter(s)")
            return
        redrive = jobs.start(
            letters,
            by="manage.py redrive",
            reason=options["reason"],
            key=str(uuid.uuid4()),
            rate=options["rate"],
            canary=not options["no_canary"],
        )
        self.stdout.write(f"redrive {redrive.pk} of {redrive.total} dead letter(s) started")
        if redrive.left_out:
            self.stdout.write(f"{redrive.left_out} left out: in another redrive already")
        while jobs.advance():
            pass
        if options["wait"]:
            self._wait(redrive)
            return
        redrive.refresh_from_db()
        more = "" if redrive.ended_at else "; consumers carry it on"
        self.stdout.write(_progress(redrive) + more)

    def _wait(self, redrive: Redrive) -> None:
        said = ""
        while True:
            redrive.refresh_from_db()
            if (progress := _progress(redrive)) != said:
                self.stdout.write(said := progress)
            if redrive.ended_at:
                break
            if not jobs.advance():
                sleep(POLL_SECONDS)
        self._judge(redrive)

    def _judge(self, redrive: Redrive) -> None:
        if redrive.state == Redrive.State.HALTED:
            raise CommandError(f"halted: {redrive.why}")
        if redrive.state == Redrive.State.STOPPED:
            raise CommandError("stopped by a person; the admin's log says by whom")
        counts = jobs.counts(redrive)
        if bad := counts[RedriveItem.Outcome.RETURNED] + counts[RedriveItem.Outcome.BOUNCED]:
            raise CommandError(
                f"{bad} dead letter(s) did not come through; the admin has the causes"
            )


def _progress(redrive: Redrive) -> str:
    counts = jobs.counts(redrive)
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    return ", ".join(parts) or "nothing to redrive"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
