"""Provide ``manage.py stage_incident``."""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from emails.errors import IdentityError
from notifier import incident
from queues.errors import QueueUnavailable

MOST_SECONDS = 600
# Between two orders of the real traffic.
TRAFFIC_SECONDS = 3.0

STEPS = """
It is 3 a.m. {count} dead letters wait, and orders go on. What to try, as admin with the password admin:

  1. {base}{overview}
     The Overview says what it costs.
  2. {base}{causes}
     The dead letters, by cause. Four causes, and a different act for each:
  3. "The recipient is not verified": press Verify on a domain, then publish its records on
     {base}/sandbox/verifications/
     and come back to Redrive. One dead letter goes first, as a canary. Try it before you verify, too.
  4. "{shipped}": no release handles it yet. Park it until the morning.
  5. "The data does not fit": open a dead letter, and Edit and redrive: write @ for " at ". Discard the others.
  6. "The message is not an event": the warehouse sends heartbeats. Discard all.
  7. {base}{log}
     The log says who did what. The emails are in {base}/sandbox/

Stop the consumer with "make consumer-down" and look at the Overview again. "make incident-over" clears what is left.
"""


class Command(BaseCommand):
    """Refuses to run outside development, because it makes real dead letters."""

    help = (
        "Stage a 3 a.m. incident beside `make run`: dead letters of four causes among real traffic, and what to try "
        "in the console (DEBUG and SANDBOX only)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options; ``--help`` describes them."""
        parser.add_argument("--count", type=int, default=400, help="dead letters to cause")
        parser.add_argument(
            "--traffic", type=int, default=600, help="seconds for which orders go on afterwards"
        )
        parser.add_argument(
            "--over", action="store_true", help="discard what still waits, so that all is as before"
        )

    def handle(self, *, count: int, traffic: int, over: bool, **options: Any) -> None:
        """Stage it, wait until the dead letters are there, say what to try, and place orders until Ctrl-C."""
        if not (settings.DEBUG and settings.SANDBOX):
            raise CommandError("An incident is for development: it needs DEBUG=on and SANDBOX=on.")
        # The log of each event would bury what to try.
        logger = logging.getLogger("queues")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            if over:
                self._say(f"{incident.end()} dead letters were discarded. The incident is over.")
                return
            self._stage(count)
            self._go_on(traffic)
        except (IdentityError, QueueUnavailable) as exc:
            raise CommandError(f"{exc} Is `make run` running in another terminal?") from exc
        except KeyboardInterrupt:
            self._say("No more orders are placed.")
        finally:
            logger.setLevel(level)

    def _stage(self, count: int) -> None:
        before = incident.waiting()
        for said in incident.stage(count):
            self._say(f"  {said}")
        deadline = time.monotonic() + MOST_SECONDS
        last = 0
        while (come := incident.waiting() - before) < count:
            if time.monotonic() > deadline:
                raise CommandError(
                    f"Only {come} of {count} dead letters have come. Does a consumer run?"
                )
            if come // 50 > last // 50:
                self._say(f"  {come} dead letters so far")
            last = come
            incident.place_regular_order()
            time.sleep(TRAFFIC_SECONDS)
        self._say(
            STEPS.format(
                base=settings.BASE_URL,
                count=incident.waiting(),
                overview=reverse("admin:index"),
                causes=reverse("admin:queues_deadletter_groups"),
                log=reverse("admin:admin_logentry_changelist"),
                shipped=incident.SHIPPED,
            )
        )

    def _go_on(self, seconds: int) -> None:
        deadline = time.monotonic() + seconds
        if seconds:
            self._say("An order is placed every three seconds. Ctrl-C ends that.")
        while time.monotonic() < deadline:
            incident.place_regular_order()
            time.sleep(TRAFFIC_SECONDS)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
