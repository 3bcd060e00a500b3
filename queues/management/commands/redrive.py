"""``manage.py redrive``: send dead letters back."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queues.management.arguments import positive
from queues.models import DeadLetter, Redrive, RedriveItem
from queues.redrives import jobs

POLL_SECONDS = 1.0
CONDITIONS = ("queue", "subject", "code", "fingerprint")


class Command(BaseCommand):
    """Redrive dead letters from a script, as staff do in the admin."""

    help = (
        "Start a redrive of open dead letters and send back the first ones; consumers do the rest. "
        "One dead letter goes first, then 10, then 100, then the rest, each stage when the one before has succeeded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists; a redrive needs at least one condition, or ``--all``."""
        parser.add_argument("--queue", help="queue alias")
        parser.add_argument("--subject", help="order number or transaction reference")
        parser.add_argument("--code", help="cause, an error code")
        parser.add_argument("--fingerprint", help="fingerprint, as on a dead letter's page")
        parser.add_argument(
            "--all", action="store_true", help="every open dead letter that is not parked"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say how many would be redriven"
        )
        parser.add_argument("--reason", default="", help="reason, for the audit log")
        parser.add_argument("--rate", type=positive, metavar="N", help="dead letters a second")
        parser.add_argument(
            "--no-canary",
            action="store_true",
            help="without stages: all at once, or as fast as --rate says",
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="print the progress until every outcome is known; advances the redrive if no consumer does, but "
            "only a consumer handles the messages. Exits with 1 if dead letters came back or were left",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the redrive and print its id and progress."""
        conditions = {name: options[name] for name in CONDITIONS if options[name]}
        if not conditions and not options["all"]:
            raise CommandError(
                "name the dead letters: --queue, --subject, --code, --fingerprint or --all"
            )
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
            self.stdout.write(f"{redrive.left_out} left out: already in another redrive")
        while jobs.advance():
            pass
        if options["wait"]:
            self._wait(redrive)
            return
        redrive.refresh_from_db()
        more = "" if redrive.ended_at else "; consumers continue it"
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
                f"{bad} dead letter(s) failed again or bounced; see the causes in the admin"
            )


def _progress(redrive: Redrive) -> str:
    counts = jobs.counts(redrive)
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    return ", ".join(parts) or "nothing to redrive"
