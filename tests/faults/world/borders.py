"""Replace what a world meets while it lasts: AWS, time, chance, the database's content and the log."""

from __future__ import annotations

import logging
import random
import re
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.test import override_settings
from django.utils import timezone
from django_ses import SESBackend

from emails.errors import SendError
from emails.sending import claims, limiter, notifying, together
from emails.ses import ses_api, transport
from emails.ses.rounds import Letter
from queues import failpoints, uuid7
from queues.aws import sns, sqs
from queues.consumer import retry_in_place
from queues.threads.group_commit import GroupCommit

if TYPE_CHECKING:
    from tests.faults.world.world import World


@contextmanager
def replaced(world: World, settings: Mapping[str, object]) -> Iterator[None]:
    """Begin with an empty database, under these settings."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        journal = stack.enter_context(tempfile.TemporaryDirectory(prefix="notifier-journal-"))
        stack.enter_context(override_settings(**settings, JOURNAL_DIR=journal))
        stack.enter_context(connection.execute_wrapper(world.interruptions.around_sql))
        stack.enter_context(_heard(world))
        _replace_aws(world, patch)
        _replace_time_and_chance(world, patch)
        stack.enter_context(_on_the_clock_of(world))
        _empty_database()
        yield


@contextmanager
def memory_of_its_own() -> Iterator[None]:
    """Give a process memory of its own: it shares nothing with the threads of another."""
    shared = {name: it for name, it in vars(notifying).items() if isinstance(it, GroupCommit)}
    with pytest.MonkeyPatch.context() as patch:
        for name, group_commit in shared.items():
            own = GroupCommit(group_commit._perform, most=group_commit._most, linger_seconds=0.0)
            patch.setattr(notifying, name, own)
        patch.setattr(limiter, "_unused", deque())
        patch.setattr(limiter, "_rate", None)
        yield


def _replace_aws(world: World, patch: pytest.MonkeyPatch) -> None:
    """django-ses and ``queues.aws.sqs`` stay what they are; their clients do not."""
    backend = SESBackend(aws_region_name="eu-west-1")
    backend.connection = world.ses
    patch.setattr(ses_api, "connection", lambda: backend)
    patch.setattr(ses_api, "api", lambda: world.ses)
    if world.together:
        patch.setattr(transport, "sends_many", lambda: True)
        patch.setattr(transport, "send_many", partial(_sent_in_turn, world))
    patch.setattr(sqs, "client", lambda hurried=False: world.sqs)
    patch.setattr(sns, "client", lambda hurried=False: world.sns)


def _sent_in_turn(world: World, letters: Sequence[Letter]) -> list[str | SendError | None]:
    """Send each email when its slot is due: what a round does at once, one after the other."""
    return [_sent(world, letter) for letter in letters]


def _sent(world: World, letter: Letter) -> str | SendError | None:
    world.clock.sleep(max(0.0, letter.at - world.clock.monotonic()))
    if not letter.is_fit():
        return None
    try:
        return ses_api.send(letter.message)
    except SendError as exc:
        return exc


def _replace_time_and_chance(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timezone, "now", world.clock.now)
    for module in (claims, limiter, retry_in_place, together, uuid7):
        patch.setattr(module, "time", world.clock)
    # Slots and a rate of another clock.
    patch.setattr(limiter, "_unused", deque())
    patch.setattr(limiter, "_rate", None)
    # Ids sort by time, and then as the seed says.
    patch.setattr(uuid7, "os", SimpleNamespace(urandom=world.random.randbytes))
    patch.setattr(failpoints, "os", world.interruptions)
    random.seed(world.random.random())


@contextmanager
def _on_the_clock_of(world: World) -> Iterator[None]:
    """Put each connection made meanwhile on the world's clock; the product may close one that failed."""

    def install(connection: Any, **options: Any) -> None:
        world.clock.install(connection.connection)
        # Nothing here outlives the machine.
        connection.connection.execute("PRAGMA synchronous=OFF")

    connection.close()
    connection_created.connect(install)
    try:
        yield
    finally:
        connection_created.disconnect(install)
        connection.close()


def _empty_database() -> None:
    with transaction.atomic():
        for label in ("emails", "queues"):
            for model in apps.get_app_config(label).get_models():
                if model._meta.managed:
                    model._default_manager.all()._raw_delete(connection.alias)


@contextmanager
def _heard(world: World) -> Iterator[None]:
    """Add what the product logs to the trace, with an event's reference instead of its id."""

    def emit(record: logging.LogRecord) -> None:
        line = record.getMessage()
        for event_id in re.findall(r"event=([0-9a-f-]{36})", line):
            line = line.replace(event_id, world.reference_of(event_id) or event_id)
        world.note(f"  {line.splitlines()[0]}")

    handler: Any = logging.Handler()
    handler.emit = emit
    loggers = [logging.getLogger(name) for name in ("queues", "emails")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
