"""Carry out the doctor runs that staff ask for in the admin.

A consumer carries them out, because it has the rights on AWS; without a living consumer, this process does. Apps name
their runners (``add``) by dotted names, so a consumer loads a runner only when somebody asks for it.
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
from queues.models.doctor_runs import DoctorRun
from queues.models.live import LiveConsumer

logger = logging.getLogger(__name__)

# How often consumers look for a run that somebody asked for.
SECONDS = 2.0
# The longest that a run takes, with all queues and a bounce that never comes.
LONGEST = timedelta(minutes=5)
PATIENCE = timedelta(seconds=30)
KEPT = 50

State = DoctorRun.State
Results = Callable[[Mapping[str, Any]], None]
# It gets the arguments and a function to call with each result; it returns the verdict on all.
Runner = Callable[[Mapping[str, Any], Results], str]

_runners: dict[str, str] = {}


@dataclass(frozen=True)
class Waiting:
    """The state of a run that is not done, in words for the person who waits. ``is_lost``: nobody will end it."""

    text: str
    is_lost: bool


def add(kind: str, runner: str) -> None:
    """Register the Runner of a kind of run, by its dotted name."""
    _runners[kind] = runner


def ask(kind: str, arguments: Mapping[str, Any], *, by: str) -> DoctorRun:
    """Store a run to be carried out: within seconds by a consumer, or by this process if no consumer is alive."""
    run = DoctorRun.objects.create(
        kind=kind, arguments=dict(arguments), asked_by=by, asked_at=timezone.now()
    )
    kept = DoctorRun.objects.order_by("-id").values("pk")[:KEPT]
    DoctorRun.objects.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
    carry_out_if_alone(advance)
    return run


def carry_out_if_alone(step: Callable[[], int]) -> None:
    """Repeat a step of ``registry.jobs`` in this process while it finds work, if no consumer is alive to do that.

    It begins when the transaction is committed.
    """
    if not LiveConsumer.objects.alive().filter(kind=LiveConsumer.Kind.CONSUMER).exists():
        thread = threading.Thread(target=_alone, args=(step,), name="jobs", daemon=True)
        transaction.on_commit(thread.start)


def advance() -> int:
    """Carry out the run that has waited longest; return how many were carried out."""
    run = DoctorRun.objects.filter(in_state(State.WAITING)).order_by("id").first()
    if run is None or not _take(run):
        return 0
    logger.info("doctor run kind=%s id=%s", run.kind, run.pk)
    verdict = ""
    try:
        runner: Runner = import_string(_runners[run.kind])
        verdict = runner(run.arguments, lambda result: _add(run, result))
    finally:
        # A run without a verdict has failed; the traceback is in the log.
        DoctorRun.objects.filter(pk=run.pk).update(
            state=State.DONE, ended_at=Now(), verdict=verdict
        )
    return 1


def waiting(run: DoctorRun) -> Waiting:
    """Say whether a run that is not done will still be carried out."""
    if run.state == State.RUNNING and run.started_at:
        is_lost = run.started_at < timezone.now() - LONGEST
        text = f"Running on {run.ran_on}. You can close this page."
        return Waiting(
            f"{run.ran_on} died before it was done. Start it again." if is_lost else text, is_lost
        )
    if run.asked_at < timezone.now() - PATIENCE:
        text = "No consumer has taken it. Start one of this release, or wait until it is done with another run."
        return Waiting(text, True)
    return Waiting("It starts within seconds, in a consumer.", False)


def _take(run: DoctorRun) -> bool:
    ran_on = f"{socket.gethostname()[:100]}:{os.getpid()}"
    mine = DoctorRun.objects.filter(pk=run.pk, state=State.WAITING)
    return mine.update(state=State.RUNNING, ran_on=ran_on, started_at=Now()) == 1


def _add(run: DoctorRun, result: Mapping[str, Any]) -> None:
    run.results.append(dict(result))
    DoctorRun.objects.filter(pk=run.pk).update(results=run.results)


def _alone(step: Callable[[], int]) -> None:
    try:
        while step():
            pass
    except DatabaseError as exc:
        logger.error("job failed: %s", type(exc).__name__)
    finally:
        connection.close()
