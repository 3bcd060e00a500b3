"""``manage.py redrive``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queues import dead_letters
from queues.models import DeadLetter


class Command(BaseCommand):
    """What the admin's redrive does, for scripts."""

    help = "Sends open dead letters through the outbox again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which letters: at least one condition, or --all."""
        parser.add_argument("--queue", help="queue alias")
        parser.add_argument("--subject", help="order number, transaction reference")
        parser.add_argument("--code", help="cause")
        parser.add_argument("--all", action="store_true", help="every open dead letter")
        parser.add_argument("--dry-run", action="store_true", help="say what would be redriven")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the count."""
        conditions = {name: options[name] for name in ("queue", "subject", "code") if options[name]}
        if not conditions and not options["all"]:
            raise CommandError("say which: --queue, --subject, --code or --all")
        letters = DeadLetter.objects.filter(state=DeadLetter.State.OPEN, **conditions)
        if options["dry_run"]:
            self.stdout.write(f"would redrive {letters.count()} dead letter(s)")
            return
        self.stdout.write(f"redrove {dead_letters.redrive(letters)} dead letter(s)")
