"""``manage.py consume_queue``"""

from __future__ import annotations

import logging
import os
import signal
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues import checks, dead_letters, registry, relay, sqs, sweeper
from queues.background import Repeated
from queues.consumer import Consumer
from queues.errors import QueueUnavailable

RELAY_SECONDS = 1.0
COLLECT_SECONDS = 5.0


class Command(BaseCommand):
    """Ends with 0 after SIGTERM or Ctrl-C, within 25 seconds; a second signal ends it at once."""

    help = "Receives events, hands them to their handlers and deletes what is done, until SIGTERM."
    # The others would load every page of the web.
    requires_system_checks = [checks.TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See ``--help``."""
        parser.add_argument("alias", nargs="*", help="queues to consume; all where none is named")
        parser.add_argument(
            "--concurrency", type=_positive, default=8, help="messages handled at once (8)"
        )
        parser.add_argument(
            "--until-empty",
            action="store_true",
            help="stop when nothing is left that can be done now",
        )
        parser.add_argument("--max-messages", type=_positive, help="stop after so many messages")
        parser.add_argument(
            "--no-relay", action="store_true", help="do not publish the outbox as well"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Consume."""
        if unknown := set(options["alias"]) - set(settings.QUEUES):
            raise CommandError(
                f"unknown queue {', '.join(sorted(unknown))}; there are: {', '.join(settings.QUEUES)}"
            )
        self._consumer = Consumer(
            sqs.queues(options["alias"]),
            concurrency=options["concurrency"],
            max_messages=options["max_messages"],
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            if options["until_empty"]:
                self._consumer.run_until_empty(
                    between=lambda: self._chores(relays=not options["no_relay"])
                )
                self._require_open()
            else:
                self._run(relays=not options["no_relay"])
        except QueueUnavailable as exc:
            raise CommandError(str(exc)) from exc
        if self._consumer.unfinished:
            # A thread that is stuck must not keep the process; its notification stays "sending".
            self.stderr.write(f"left {self._consumer.unfinished} message(s) unfinished")
            logging.shutdown()
            os._exit(0)
        if self._consumer.crashed:
            raise CommandError("stopped by an error of its own; the log above has it")
        self.stdout.write("stopped: nothing in hand")

    def _require_open(self) -> None:
        """What a gate kept closed was not emptied, and a script must learn it."""
        for queue in self._consumer.queues:
            if reason := registry.why_closed(queue.alias):
                raise CommandError(f"queue {queue.alias} was not read: {reason}")

    def _run(self, *, relays: bool) -> None:
        chores = [Repeated("sweeper", sweeper.sweep, seconds=settings.SWEEP_SECONDS)]
        if relays:
            chores.append(Repeated("relay", relay.publish_pending, seconds=RELAY_SECONDS))
        if settings.DEAD_LETTER_COLLECT:
            chores.append(Repeated("collector", dead_letters.collect_all, seconds=COLLECT_SECONDS))
        for chore in chores:
            chore.start()
        names = ", ".join(queue.alias for queue in self._consumer.queues)
        self.stdout.write(f"consuming {names}; Ctrl-C stops")
        self._consumer.run()
        for chore in chores:
            chore.ask_to_stop()
        for chore in chores:
            chore.stop(timeout=0.3)

    def _chores(self, *, relays: bool) -> int:
        done = relay.publish_pending() if relays else 0
        return done + (dead_letters.collect_all() if settings.DEAD_LETTER_COLLECT else 0)

    def _stop(self, *args: Any) -> None:
        if self._consumer.stopping:
            os._exit(0)
        self._consumer.stopping = True


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
