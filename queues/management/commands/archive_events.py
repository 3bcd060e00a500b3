"""``manage.py archive_events``: write every event to files."""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues import checks
from queues.aws import sqs
from queues.errors import QueueUnavailable
from queues.management.arguments import positive
from queues.models.live import LiveConsumer
from queues.outbox.archive import MAX_BYTES, Archive
from queues.postgresql import limits
from queues.threads import stopping
from queues.upkeep.heartbeats import Heartbeats, Load

logger = logging.getLogger(__name__)

MEBIBYTE = 1024 * 1024
MAX_PAUSE_SECONDS = 30.0


class Command(BaseCommand):
    """Archive events until a signal; exits with 0, or with ``stopping.HUNG`` if something hangs.

    SIGTERM or Ctrl-C stops it after its long poll, 25 seconds at most, a second signal at once.
    """

    help = (
        "Write every event from ARCHIVE_QUEUE to files, a new one each day, one JSON envelope a line, until SIGTERM. "
        "An event may be in the files twice, for example after a crash: take each id once."
    )
    requires_system_checks = [checks.TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists."""
        parser.add_argument(
            "--folder",
            type=Path,
            help=f"folder of the files; default ARCHIVE_FOLDER ({settings.ARCHIVE_FOLDER})",
        )
        parser.add_argument(
            "--until-empty", action="store_true", help="stop when the queue is empty"
        )
        parser.add_argument(
            "--max-mebibytes",
            type=positive,
            default=MAX_BYTES // MEBIBYTE,
            metavar="N",
            help=f"begin another file for the day at this size; default {MAX_BYTES // MEBIBYTE}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Archive until told to stop, or until the queue is empty."""
        queue = sqs.archive_queue()
        if queue is None:
            raise CommandError(
                "ARCHIVE_QUEUE is not set; set it and TOPIC_<ALIAS>, then run: manage.py provision"
            )
        self._queue, self._stopping, self._count = queue, False, 0
        folder = options["folder"] or Path(settings.ARCHIVE_FOLDER)
        with stopping.on_signal(self._stop), limits.used(limits.of_work()):
            self._run(folder, options)

    def _run(self, folder: Path, options: dict[str, Any]) -> None:
        try:
            self._archive = Archive(folder, max_bytes=options["max_mebibytes"] * MEBIBYTE)
            self._archive.repair()
            if options["until_empty"]:
                self._until_empty()
            else:
                self._until_told()
        except (OSError, QueueUnavailable) as exc:
            raise CommandError(f"archived {self._count} event(s), then: {exc}") from exc
        self._archive.close()
        self.stdout.write(f"archived {self._count} event(s) in {folder}")

    def _until_empty(self) -> None:
        # A short poll may miss messages, so only a long one can tell that the queue is empty.
        while not self._stopping and (self._step(0) or self._step(1)):
            pass

    def _until_told(self) -> None:
        """Archive until a signal; after an error of SQS or a full disk, try again.

        Messages that are not on the disk stay in the queue.
        """
        heartbeats = Heartbeats(LiveConsumer.Kind.ARCHIVER, [self._queue.alias], self._load)
        heartbeats.start()
        self.stdout.write(f"archiving {self._queue.name}; Ctrl-C stops")
        pause = 0.0
        while not self._stopping:
            try:
                self._step(settings.QUEUE_WAIT_SECONDS)
                pause = 0.0
            except (OSError, QueueUnavailable) as exc:
                pause = min(MAX_PAUSE_SECONDS, pause * 2 or 1.0)
                logger.error("not archiving, next try in %.0f s: %s", pause, exc)
                self._sleep(pause)
        heartbeats.stop()

    def _load(self) -> Load:
        return Load(threads=1, handled=self._count)

    def _step(self, wait_seconds: int) -> int:
        """Archive one batch, on the disk before it is deleted from SQS; returns how many."""
        messages = self._queue.receive(limit=sqs.BATCH_ENTRIES, wait_seconds=wait_seconds)
        if not messages:
            return 0
        self._archive.write(messages)
        self._count += len(messages)
        for message in messages:
            logger.info("archived event=%s message=%s", message.event_id, message.id)
        left = self._queue.delete_batch(messages)
        if left:
            logger.warning("not deleted, will be archived again: %d message(s)", len(left))
        return len(messages)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.1)

    def _stop(self) -> None:
        self._stopping = True
