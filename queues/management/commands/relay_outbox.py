"""``manage.py relay_outbox``: publish the outbox."""

from __future__ import annotations

import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues import checks
from queues.models import OutboxEvent
from queues.models.live import LiveConsumer
from queues.outbox import relay
from queues.postgresql import limits
from queues.threads import stopping
from queues.threads.repeated import Repeated
from queues.upkeep.heartbeats import Heartbeats, Load

POLL_SECONDS = 1.0
# Two threads, each a relay of its own: while one waits for the database, the other sends.
RELAYS = 2
SETTLE_SECONDS = 20.0
_UNPUBLISHED = [OutboxEvent.State.PENDING, OutboxEvent.State.CLAIMED]


class Command(BaseCommand):
    """Publish the outbox; any number of these may run, beside consumers that relay too."""

    help = "Publish the events in the outbox, until SIGTERM."
    # All other checks would load every page of the web site.
    requires_system_checks = [checks.TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists."""
        parser.add_argument(
            "--until-empty", action="store_true", help="stop when nothing is left to publish"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish until told to stop; events that are claimed are settled before this returns."""
        self._stopping = False
        self._published, self._lock = 0, threading.Lock()
        with stopping.on_signal(self._stop), limits.used(limits.of_work()):
            if options["until_empty"]:
                self._until_empty()
            else:
                self._until_told()

    def _until_empty(self) -> None:
        while not self._stopping and self._relay(from_start=True):
            pass
        self.stdout.write(f"published {self._published} event(s)")
        if left := OutboxEvent.objects.filter(state__in=_UNPUBLISHED).count():
            raise CommandError(f"{left} event(s) are not published; the lines above say why")

    def _until_told(self) -> None:
        relaying = Repeated("relay", self._relay, seconds=POLL_SECONDS, threads=RELAYS)
        relaying.start()
        heartbeats = Heartbeats(LiveConsumer.Kind.RELAY, list(settings.QUEUES), self._load)
        heartbeats.start()
        self.stdout.write("relaying the outbox")
        while not self._stopping:
            time.sleep(0.1)
        if not relaying.stop(timeout=SETTLE_SECONDS):
            # Leases end, and another relay publishes what is left; SQS may then have it twice.
            self.stderr.write("left what was claimed: the database or AWS does not answer")
            stopping.abandon(stopping.HUNG)
        heartbeats.stop()

    def _relay(self, *, from_start: bool = False) -> int:
        count = relay.publish_pending(from_start=from_start)
        with self._lock:
            self._published += count
        return count

    def _load(self) -> Load:
        return Load(threads=RELAYS, handled=self._published)

    def _stop(self) -> None:
        self._stopping = True
