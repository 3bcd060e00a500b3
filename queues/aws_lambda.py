"""The entry points for AWS Lambda: ``handler`` for a queue's messages, ``sweep`` for a schedule.

See docs/how-to/lambda.md.

Importing the module sets up Django, once for each execution environment.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
os.environ["SERVES_PAGES"] = "off"
if not apps.ready:
    django.setup()

from django.conf import settings  # noqa: E402  # models need the setup above
from django.db import DatabaseError, close_old_connections  # noqa: E402

from queues.aws import sqs  # noqa: E402
from queues.aws.sqs import BATCH_ENTRIES  # noqa: E402
from queues.consumer import lambda_batch  # noqa: E402
from queues.consumer.loop import DRAIN_SECONDS, Consumer  # noqa: E402
from queues.dead_letters import collecting  # noqa: E402
from queues.errors import QueueUnavailable  # noqa: E402
from queues.outbox import relay  # noqa: E402
from queues.postgresql import limits  # noqa: E402
from queues.redrives import jobs  # noqa: E402
from queues.upkeep import sweeping, watching  # noqa: E402

logger = logging.getLogger(__name__)

# With this much time left nothing more is begun, so that running messages end and the others are given back.
STOP_SECONDS = DRAIN_SECONDS + 4.0
# If an invocation has less than twice STOP_SECONDS, work goes on for this share of it.
_LEAST_SHARE = 0.5

limits.use(limits.of_work())
# Make the client now: Lambda gives more processor time to the start than to an invocation.
sqs.client()


class Context(Protocol):
    """The part that we use of Lambda's context of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the process."""
        ...


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Handle the messages of an SQS event; Lambda deletes those that the answer does not name.

    The event source mapping needs ``ReportBatchItemFailures``. Raises ValueError, which names the source, for an event
    that is not from SQS alone; then nothing is handled.
    """
    close_old_connections()
    batches = lambda_batch.batches(lambda_batch.records_of(event))
    consumer = Consumer(batches, concurrency=BATCH_ENTRIES)
    with _stopped_in_time(consumer, context):
        try:
            consumer.run_until_empty(between=lambda: 0)
        except DatabaseError as exc:
            logger.error("stopping: the database fails: %s", type(exc).__name__)
    for batch in batches:
        batch.give_back_rest()
    failed = [message_id for batch in batches for message_id in batch.failed]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def sweep(event: object, context: Context) -> dict[str, int]:
    """Do once what ``consume_queue`` does beside receiving, for installations that do not run it.

    Publishes the outbox, collects dead letters, carries out redrives, then sweeps and watches. Returns the counts. If
    AWS or the database fails a step, the error is logged, and the first one is raised when everything else is done.
    """
    close_old_connections()
    until = time.monotonic() + _seconds_to_work(context)
    errors: list[Exception] = []
    counts = {
        name: _repeated(name, step, until, errors)
        for name, step in {
            "published": lambda: relay.publish_pending(from_start=True),
            "collected": collecting.collect_all if settings.DEAD_LETTER_COLLECT else lambda: 0,
            "redriven": jobs.advance,
            "swept": sweeping.sweep,
            "watched": watching.watch,
        }.items()
    }
    if errors:
        raise errors[0]
    return counts


def _repeated(name: str, step: Callable[[], int], until: float, errors: list[Exception]) -> int:
    """Repeat the step while it finds work and there is time; returns the sum."""
    count = 0
    try:
        while (more := step()) and time.monotonic() < until:
            count += more
    except (QueueUnavailable, DatabaseError) as exc:
        logger.error("not %s: %s", name, exc)
        errors.append(exc)
        return count
    return count + more


def _seconds_to_work(context: Context) -> float:
    left = context.get_remaining_time_in_millis() / 1000
    return max(left - STOP_SECONDS, left * _LEAST_SHARE)


@contextmanager
def _stopped_in_time(consumer: Consumer, context: Context) -> Iterator[None]:
    def stop() -> None:
        consumer.stopping = True

    seconds = _seconds_to_work(context)
    if seconds <= 0:
        stop()
    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
