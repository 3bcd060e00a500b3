"""Publish a rehearsed draft, and send back the dead letters that it fixes, in one transaction."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from emails.errors import Barred
from emails.models import EmailTemplate, Rehearsal, RehearsalCase, TemplateVersion
from emails.rehearsal import barring, jobs
from emails.versions import drafts, in_force
from queues.failpoints import failpoint
from queues.models import DeadLetter, Redrive
from queues.redrives import jobs as redrives

# Every consumer knows the version by then: a letter that came back sooner would fail as before.
SETTLE = timedelta(seconds=2 * in_force.FRESH_SECONDS)


def publish(name: str, *, by: User, why: str, revision: int) -> TemplateVersion:
    """Publish a draft that was rehearsed; raises Barred, StaleTemplate and RenderError."""
    _catch_up(jobs.newest(name))
    return _publish(name, by=by, why=why, revision=revision)


def publish_and_redrive(
    rehearsal: Rehearsal, *, by: User, why: str, key: str
) -> tuple[TemplateVersion, Redrive]:
    """Publish the draft, and start a redrive of exactly the dead letters that the rehearsal found fixed: both or none.

    ``key`` is that of the form, see ``queues.redrives.jobs.start``. Raises Barred, StaleTemplate and RenderError.
    """
    _catch_up(rehearsal)
    with transaction.atomic():
        version = _publish(rehearsal.name, by=by, why=why, revision=rehearsal.revision)
        letters = DeadLetter.objects.filter(pk__in=fixed(rehearsal).values("source"))
        redrive = redrives.start(letters, by=by, reason=why, key=key, wait=SETTLE)
        failpoint("publishing")
    failpoint("published")
    return version, redrive


def fixed(rehearsal: Rehearsal) -> QuerySet[RehearsalCase]:
    """Return the dead letters that the draft fixes, as cases."""
    return rehearsal.cases.filter(
        kind=RehearsalCase.Kind.LETTER, outcome=RehearsalCase.Outcome.FIXED
    )


@transaction.atomic
def _publish(name: str, *, by: User, why: str, revision: int) -> TemplateVersion:
    version = drafts.publish(name, by=by.get_username(), why=why, revision=revision)
    words = f"Published version {version.number}: {why}"
    LogEntry.objects.log_actions(
        by.pk, [EmailTemplate(name=name)], CHANGE, words, single_object=True
    )
    return version


def _catch_up(rehearsal: Rehearsal | None) -> None:
    if rehearsal and rehearsal.is_done and not barring.catch_up(rehearsal):
        raise Barred("Too many events have come since the rehearsal. Rehearse again.")
