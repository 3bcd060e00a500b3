"""AWS Lambda's way in: ``handler`` for a queue's messages, ``sweep`` for a schedule. See docs/lambda.md.

Django is set up as the module is imported, once for each execution environment.
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
if not apps.ready:
    django.setup()

from django.conf import settings  # noqa: E402  # models need what is set up above
from django.db import DatabaseError, close_old_connections  # noqa: E402

from queues.aws import sqs  # noqa: E402
from queues.aws.sqs import BATCH_ENTRIES  # noqa: E402
from queues.consumer import lambda_batch  # noqa: E402
from queues.consumer.loop import DRAIN_SECONDS, Consumer  # noqa: E402
from queues.dead_letters import collecting  # noqa: E402
from queues.errors import QueueUnavailable  # noqa: E402
from queues.outbox import relay  # noqa: E402
from queues.redrives import jobs  # noqa: E402
from queues.upkeep import sweeping, watching  # noqa: E402

logger = logging.getLogger(__name__)

# What is left of the time when nothing more is begun: what runs ends well, and what is left is given back.
STOP_SECONDS = DRAIN_SECONDS + 4.0
# With less of it than twice that, half of it.
_LEAST_SHARE = 0.5

# Part of the start, where Lambda gives more processor time than to an invocation.
sqs.client()


class Context(Protocol):
    """What Lambda tells of the invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the process."""
        ...


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Handle the messages of an SQS event; Lambda deletes those that the answer does not name.

    The event source mapping needs ``ReportBatchItemFailures``. Raises ValueError for an event of anything else.
    """
    close_old_connections()
    if "Records" not in event:
        raise ValueError("this is no event of SQS; for a schedule the handler is sweep")
    batches = lambda_batch.batches(event["Records"])
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
    """What ``consume_queue`` does beside receiving, once: for installations where none runs.

    Publishes the outbox, collects dead letters, carries out redrives, then sweeps and watches. Returns the counts. What
    AWS or the database does not let is logged, and raised when everything else is done.
    """
    close_old_connections()
    until = time.monotonic() + _seconds_to_work(context)
    errors: list[Exception] = []
    counts = {
        name: _repeated(name, step, until, errors)
        for name, step in {
            "published": relay.publish_pending,
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
    """While it finds work and there is time."""
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
