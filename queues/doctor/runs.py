"""Carry out what was asked for in the admin where the rights on AWS are: in a consumer, or where none lives, here.

Apps name their runners (``add``), by their dotted names: a consumer loads one when it is asked for.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string

from queues.models import in_state
from queues.models.checkups import Checkup
from queues.models.live import LiveConsumer

logger = logging.getLogger(__name__)

# Consumers look so often whether something was asked for.
SECONDS = 2.0
# The longest that one takes, with all queues and a bounce that never comes.
LONGEST = timedelta(minutes=5)
PATIENCE = timedelta(seconds=30)
KEPT = 50

State = Checkup.State
Results = Callable[[Mapping[str, Any]], None]
# Given the arguments and a function for each result; returns the verdict on all.
Runner = Callable[[Mapping[str, Any], Results], str]

_runners: dict[str, str] = {}


@dataclass(frozen=True)
class Waiting:
    """Whether anybody carries it out, in words for whoever waits for it."""

    text: str
    is_lost: bool


def add(kind: str, runner: str) -> None:
    """Register a Runner by its dotted name."""
    _runners[kind] = runner


def ask(kind: str, arguments: Mapping[str, Any], *, by: str) -> Checkup:
    """Have it carried out: by a consumer within some seconds, where one lives."""
    checkup = Checkup.objects.create(
        kind=kind, arguments=dict(arguments), asked_by=by, asked_at=timezone.now()
    )
    kept = Checkup.objects.order_by("-id").values("pk")[:KEPT]
    Checkup.objects.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
    if not _lives_a_consumer():
        transaction.on_commit(_run_here)
    return checkup


def advance() -> int:
    """Carry out the one that has waited longest; returns how many."""
    checkup = Checkup.objects.filter(in_state(State.WAITING)).order_by("id").first()
    if checkup is None or not _take(checkup):
        return 0
    logger.info("checkup kind=%s id=%s", checkup.kind, checkup.pk)
    verdict = ""
    try:
        runner: Runner = import_string(_runners[checkup.kind])
        verdict = runner(checkup.arguments, lambda result: _add(checkup, result))
    finally:
        # Without a verdict it has failed, and the traceback is in the log.
        Checkup.objects.filter(pk=checkup.pk).update(
            state=State.DONE, ended_at=Now(), verdict=verdict
        )
    return 1


def waiting(checkup: Checkup) -> Waiting:
    """For one that is not done."""
    if checkup.state == State.RUNNING and checkup.started_at:
        is_lost = checkup.started_at < timezone.now() - LONGEST
        text = f"{checkup.ran_on} is at it."
        return Waiting(f"{checkup.ran_on} has died at it. Ask again." if is_lost else text, is_lost)
    if checkup.asked_at < timezone.now() - PATIENCE:
        text = "No consumer has taken it: is a consume_queue of this release running, and not busy with another?"
        return Waiting(text, True)
    return Waiting("It waits for a consumer, some seconds.", False)


def _lives_a_consumer() -> bool:
    return LiveConsumer.objects.alive().filter(kind=LiveConsumer.Kind.CONSUMER).exists()


def _take(checkup: Checkup) -> bool:
    ran_on = f"{socket.gethostname()[:100]}:{os.getpid()}"
    mine = Checkup.objects.filter(pk=checkup.pk, state=State.WAITING)
    return mine.update(state=State.RUNNING, ran_on=ran_on, started_at=Now()) == 1


def _add(checkup: Checkup, result: Mapping[str, Any]) -> None:
    checkup.results.append(dict(result))
    Checkup.objects.filter(pk=checkup.pk).update(results=checkup.results)


def _run_here() -> None:
    threading.Thread(target=_advance_alone, name="checkup", daemon=True).start()


def _advance_alone() -> None:
    try:
        advance()
    except DatabaseError as exc:
        logger.error("checkup failed: %s", type(exc).__name__)
    finally:
        connection.close()
