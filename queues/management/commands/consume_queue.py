"""``manage.py consume_queue``: receive and handle events."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues import checks, registry
from queues.aws import sqs
from queues.consumer import sizing
from queues.consumer.loop import CONCURRENCY, Consumer
from queues.consumer.sizing import AUTO, Sizing
from queues.dead_letters import collecting
from queues.doctor import runs
from queues.errors import QueueUnavailable
from queues.management.arguments import positive
from queues.models.live import LiveConsumer
from queues.outbox import relay
from queues.postgresql import limits
from queues.redrives import jobs
from queues.threads import stopping
from queues.threads.repeated import Repeated
from queues.threads.supervisor import Crashed, Supervisor
from queues.upkeep import sweeping, watching
from queues.upkeep.heartbeats import Heartbeats, Load

RELAY_SECONDS = 1.0
COLLECT_SECONDS = 5.0
REDRIVE_SECONDS = 1.0
# How long the process waits for all of its chores when it stops; whatever they leave, a lease ends.
CHORES_SECONDS = 0.5


class Command(BaseCommand):
    """Consume queues until a signal; exits with 0, or with ``stopping.HUNG`` if something hangs.

    SIGTERM or Ctrl-C stops it within 25 seconds, a second signal at once.
    """

    help = "Receive events, pass them to their handlers and delete handled messages, until SIGTERM."
    # All other checks would load every page of the web site.
    requires_system_checks = [checks.TAG, checks.WORK_TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists."""
        parser.add_argument("alias", nargs="*", help="queues to consume; default all")
        parser.add_argument(
            "--concurrency",
            type=_positive_or_auto,
            default=AUTO,
            metavar="N",
            help=f"messages of each queue handled at once; default {AUTO}: {sizing.LEAST} to {sizing.MOST}, as many as "
            "the sending rate and SES's response times need",
        )
        parser.add_argument(
            "--processes",
            type=positive,
            default=1,
            help="number of consumer processes, each with all the above, default 1; only the first one publishes the "
            "outbox, collects dead letters and carries out redrives",
        )
        parser.add_argument(
            "--until-empty",
            action="store_true",
            help="stop when nothing is left to do now",
        )
        parser.add_argument("--max-messages", type=positive, help="stop after this many messages")
        parser.add_argument("--no-relay", action="store_true", help="do not publish the outbox")

    def handle(self, *args: Any, **options: Any) -> None:
        """Consume in this process, or in several that this one supervises."""
        if unknown := set(options["alias"]) - set(settings.QUEUES):
            raise CommandError(
                f"unknown queue {', '.join(sorted(unknown))}; the queues are: {', '.join(settings.QUEUES)}"
            )
        if options["processes"] == 1:
            self._consume(options, leads=True)
            return
        supervisor = Supervisor(
            lambda number: self._consume(options, leads=number == 0),
            processes=options["processes"],
            is_endless=not (options["until_empty"] or options["max_messages"]),
        )
        if code := supervisor.run():
            raise CommandError("a process failed; the log above says why", returncode=code)
        self.stdout.write("stopped: all processes")

    def _consume(self, options: dict[str, Any], *, leads: bool) -> None:
        """Run one consumer; the one that ``leads`` also relays, collects dead letters and carries out redrives.

        If every process did, together they would only ask SQS more often; and a redrive needs one consumer at a time.
        """
        self._redrives = leads
        self._relays = leads and not options["no_relay"]
        self._collects = leads and settings.DEAD_LETTER_COLLECT
        is_auto = options["concurrency"] == AUTO
        self._consumer = Consumer(
            sqs.queues(options["alias"]),
            concurrency=CONCURRENCY if is_auto else options["concurrency"],
            max_messages=options["max_messages"],
        )
        self._sizing = self._sized(options["processes"]) if is_auto else None
        with stopping.on_signal(self._stop), limits.used(limits.of_work()):
            self._consume_until_told(is_until_empty=options["until_empty"])

    def _consume_until_told(self, *, is_until_empty: bool) -> None:
        try:
            if is_until_empty:
                self._consumer.run_until_empty(between=self._chores)
                self._require_open()
            else:
                self._run()
        except QueueUnavailable as exc:
            raise CommandError(str(exc)) from exc
        if self._consumer.hangs:
            # A stuck thread must not keep the process alive; its notification stays "sending".
            self.stderr.write(f"left {self._consumer.unfinished} message(s) unfinished")
            stopping.abandon(0)
        if self._consumer.crashed:
            raise Crashed("stopped by a bug; the log above has the error")
        self.stdout.write("stopped: nothing in flight")

    def _require_open(self) -> None:
        """Raise CommandError for a queue that a gate closed: it was not emptied, and a script must notice."""
        for queue in self._consumer.queues:
            if reason := registry.why_closed(queue.alias):
                raise CommandError(f"queue {queue.alias} was not read: {reason}")

    def _run(self) -> None:
        chores = [
            Repeated("sweeper", sweeping.sweep, seconds=settings.SWEEP_SECONDS),
            Repeated("watcher", watching.watch, seconds=watching.SECONDS),
        ]
        if self._relays:
            chores.append(Repeated("relay", relay.publish_pending, seconds=RELAY_SECONDS))
        if self._collects:
            chores.append(Repeated("collector", collecting.collect_all, seconds=COLLECT_SECONDS))
        if self._redrives:
            chores.append(Repeated("redrives", jobs.advance, seconds=REDRIVE_SECONDS))
            chores.append(Repeated("jobs of staff", _jobs_of_staff, seconds=runs.SECONDS))
        if self._sizing:
            chores.append(Repeated("sizing", self._sizing.adjust, seconds=sizing.SECONDS))
        for chore in chores:
            chore.start()
        aliases = [queue.alias for queue in self._consumer.queues]
        heartbeats = Heartbeats(LiveConsumer.Kind.CONSUMER, aliases, self._load)
        heartbeats.start()
        self.stdout.write(f"consuming {', '.join(aliases)}; Ctrl-C stops")
        self._consumer.run()
        for chore in chores:
            chore.ask_to_stop()
        until = time.monotonic() + CHORES_SECONDS
        for chore in chores:
            chore.stop(timeout=max(0.0, until - time.monotonic()))
        if not self._consumer.crashed:
            heartbeats.stop()

    def _load(self) -> Load:
        return Load(
            threads=self._consumer.threads,
            handled=self._consumer.handled,
            in_flight=self._consumer.unfinished,
            troubles=self._consumer.troubles,
        )

    def _sized(self, processes: int) -> Sizing:
        aliases = [queue.alias for queue in self._consumer.queues]
        return Sizing(aliases, resize=self._consumer.resize, processes=processes)

    def _chores(self) -> int:
        done = jobs.advance() if self._redrives else 0
        done += relay.publish_pending(from_start=True) if self._relays else 0
        return done + (collecting.collect_all() if self._collects else 0)

    def _stop(self) -> None:
        self._consumer.stopping = True


def _jobs_of_staff() -> int:
    """Go on with what staff asked for in the admin, which no script ever asks for."""
    return runs.advance() + sum(job() for job in registry.jobs)


def _positive_or_auto(text: str) -> int | str:
    return text if text == AUTO else positive(text)
