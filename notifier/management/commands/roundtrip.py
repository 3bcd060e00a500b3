"""Provide ``manage.py roundtrip``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from notifier.doctor import runs
from queues import addresses, checks
from queues.doctor.roundtrip import ProbeStep


class Command(BaseCommand):
    """Try the queues with a probe; exit with 0 if all went well, and 1 if a step failed."""

    help = (
        "Send a probe, receive it and delete it, on a queue that is made beside the real one and removed afterwards; "
        "on FIFO also prove order, groups and deduplication. It touches no real message."
    )
    requires_system_checks = [checks.TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options; ``--help`` describes them."""
        parser.add_argument("alias", nargs="*", help="queues to try; default: all")
        parser.add_argument(
            "--email",
            type=_address,
            metavar="ADDRESS",
            help="afterwards also send a test email to this address",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps, and print each when it is done."""
        aliases = options["alias"] or list(settings.QUEUES)
        if unknown := set(aliases) - set(settings.QUEUES):
            raise CommandError(
                f"unknown queue {', '.join(sorted(unknown))}; there are: {', '.join(settings.QUEUES)}"
            )
        is_well = True
        for alias in aliases:
            self.stdout.write(self.style.MIGRATE_HEADING(alias))
            is_well &= runs.trip(alias, self._say)
        if options["email"] and is_well:
            self.stdout.write(self.style.MIGRATE_HEADING("email"))
            is_well = runs.send_email(options["email"], self._say)
        if not is_well:
            raise CommandError("a step failed; its line above says why")
        self.stdout.write("all went well")

    def _say(self, step: ProbeStep) -> None:
        mark = "ok    " if step.is_ok else self.style.ERROR("FAILED")
        id_ = f"  id={step.id}" if step.id else ""
        self.stdout.write(f"  {mark} {step.name:<13} {step.milliseconds:>6} ms  {step.what}{id_}")
        if step.fix:
            self.stdout.write(f"         do: {step.fix}")
        self.stdout.flush()


def _address(text: str) -> str:
    try:
        return addresses.deliverable(text)
    except addresses.Undeliverable:
        raise ArgumentTypeError(f"{text} is not an email address") from None
