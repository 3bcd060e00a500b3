"""``manage.py provision``: make everything at AWS that settings name."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queues import checks
from queues.aws import provisioning
from queues.errors import QueueUnavailable


class Command(BaseCommand):
    """Provision AWS; safe to run at every start."""

    help = (
        "Make the queues, dead-letter queues, topics and configuration set, or bring them in line."
    )
    # All other checks would load every page of the web site.
    requires_system_checks = [checks.TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists."""
        parser.add_argument(
            "--wait",
            type=int,
            default=0,
            metavar="SECONDS",
            help="keep trying this long until AWS answers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each thing that is made, fixed or found in order."""
        deadline = time.monotonic() + options["wait"]
        while True:
            try:
                return provisioning.provision(self.stdout.write)
            except QueueUnavailable as exc:
                if time.monotonic() > deadline:
                    raise CommandError(str(exc)) from exc
                time.sleep(0.5)
