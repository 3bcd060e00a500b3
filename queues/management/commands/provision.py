"""``manage.py provision``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queues import provisioning
from queues.errors import QueueUnavailable


class Command(BaseCommand):
    """Safe to run at every start."""

    help = "Makes the queues, dead-letter queues, topics and configuration set, or brings them in line."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each thing made, mended or found in order."""
        try:
            provisioning.provision(self.stdout.write)
        except QueueUnavailable as exc:
            raise CommandError(str(exc)) from exc
