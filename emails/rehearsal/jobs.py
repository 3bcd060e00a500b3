"""Rehearse drafts in the consumers, step by step: whatever dies, another consumer goes on where the last step ended.

A step renders for about a second, and commits its counts, its cases and its place in one transaction.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from emails.models import Notification, Rehearsal, RehearsalCase, TemplateDraft
from emails.models.templates import digest_of
from emails.rehearsal import comparing, corpus, subjects
from emails.rehearsal.book import Book
from emails.rehearsal.subjects import Page, Subject
from emails.rendering import templates
from emails.versions import in_force, publishing
from queues import registry
from queues.doctor import runs
from queues.failpoints import failpoint
from queues.models import DeadLetter
from queues.models.sql import due_in
from queues.uuid7 import first_of

logger = logging.getLogger(__name__)

Stage = Rehearsal.Stage

# A consumer that needs longer for a step than this loses it, and another one repeats it.
LEASE = timedelta(seconds=30)
STEP_SECONDS = 1.0
# A consumer looks every two seconds.
SILENT = timedelta(seconds=10)


def plan(draft: TemplateDraft) -> dict[str, dict[str, dict[str, str]]]:
    """Return the files of each template that the draft changes, ``before`` and ``after``.

    Raises RenderError if one of them has no valid syntax.
    """
    in_force.forget()
    drafted = publishing.closed(draft.name, draft.files)
    if not draft.name.startswith("partials/"):
        return {draft.name: {"before": in_force.sources(draft.name), "after": drafted}}
    file = f"{draft.name}.hbs"
    known = in_force.partials() | {file: drafted["source.hbs"]}
    found = {}
    for name in templates.names():
        before = in_force.sources(name)
        if file in before:
            after = templates.closed(publishing.own_files(before), known)
            found[name] = {"before": before, "after": after}
    return found


def ask(draft: TemplateDraft, *, by: str) -> Rehearsal:
    """Store a rehearsal of this draft, in place of its last one; consumers begin within seconds.

    Returns the one that goes on already if nothing has changed since. Raises RenderError if the draft, or what is in
    force, has no valid syntax.
    """
    planned = plan(draft)
    digest = digest_of(planned)
    last = newest(draft.name)
    if last and last.digest == digest and not last.ended_at:
        # Whoever worked on it may have died.
        runs.carry_out_if_alone(advance)
        return last
    with transaction.atomic():
        Rehearsal.objects.filter(name=draft.name).delete()
        rehearsal = Rehearsal.objects.create(
            name=draft.name,
            revision=draft.revision,
            plan=planned,
            digest=digest,
            asked_by=by,
            until=timezone.now(),
            next_at=Now(),
        )
        runs.carry_out_if_alone(advance)
    return rehearsal


def is_stuck(rehearsal: Rehearsal) -> bool:
    """Return True if nobody has gone on with it for a while, though it is not done."""
    return not rehearsal.ended_at and rehearsal.next_at < timezone.now() - SILENT


def newest(name: str) -> Rehearsal | None:
    """Return the last rehearsal of a template or partial, whichever draft it was of."""
    return Rehearsal.objects.filter(name=name).order_by("-id").first()


@registry.jobs
def advance() -> int:
    """Carry out one step of a rehearsal that no process is working on; returns 1 if there was one."""
    token = uuid.uuid4()
    due = Rehearsal.objects.due().order_by("next_at").values_list("pk", flat=True).first()
    if due is None:
        return 0
    taken = Rehearsal.objects.due().filter(pk=due).update(claim=token, next_at=due_in(LEASE))
    rehearsal = Rehearsal.objects.filter(pk=due, claim=token).first() if taken else None
    if rehearsal is None:
        return 0
    try:
        _step(rehearsal, token)
    except DatabaseError:
        raise
    except Exception as exc:
        # Another try would meet the same bug, and the rehearsals after this one would wait for ever.
        logger.exception("rehearsal failed rehearsal=%s", rehearsal.pk)
        mine = Rehearsal.objects.filter(pk=rehearsal.pk, claim=token)
        mine.update(error=f"{type(exc).__name__}: {exc}", ended_at=Now(), claim=None)
    return 1


def _step(rehearsal: Rehearsal, token: uuid.UUID) -> None:
    book = Book(rehearsal)
    changes = _STEPS[Stage(rehearsal.stage)](rehearsal, book)
    if changes.get("stage") == Stage.DONE:
        changes["ended_at"] = Now()
        logger.info("rehearsal ended rehearsal=%s counts=%s", rehearsal.pk, book.counts)
    mine = Rehearsal.objects.filter(pk=rehearsal.pk, claim=token)
    with transaction.atomic():
        # Whoever lost the lease, or whose rehearsal was replaced, changes nothing.
        if mine.update(claim=None, next_at=Now(), counts=book.counts, kept=book.kept, **changes):
            RehearsalCase.objects.bulk_create(book.cases, batch_size=500)
            failpoint("rehearsing")


def _letters(rehearsal: Rehearsal, book: Book) -> dict[str, Any]:
    total = rehearsal.total
    if total is None:
        total = DeadLetter.objects.open().count()
    page = subjects.letters(rehearsal.plan, after=rehearsal.cursor)
    if page.cursor is None:
        return {"stage": Stage.EVENTS, "cursor": None, "looked": 0, "total": None}
    return _through(rehearsal, page, book) | {"total": total}


def _events(rehearsal: Rehearsal, book: Book) -> dict[str, Any]:
    since = rehearsal.asked_at - subjects.WINDOW
    total = rehearsal.total
    if total is None:
        rows = Notification.objects.filter(pk__gte=first_of(since))
        total = rows.order_by()[: subjects.MOST_LOOKED].count()
    page = subjects.events(rehearsal.plan, before=rehearsal.cursor, since=since)
    count = sum(n for name, n in rehearsal.counts.items() if name.startswith("event/"))
    enough = count >= subjects.MOST_EVENTS or rehearsal.looked >= subjects.MOST_LOOKED
    if page.cursor is None or enough:
        _compare(rehearsal, subjects.unsent(rehearsal.plan, until=since), book)
        return {"stage": Stage.MADE, "cursor": None, "looked": 0, "total": None}
    return _through(rehearsal, page, book) | {"total": total}


def _made(rehearsal: Rehearsal, book: Book) -> dict[str, Any]:
    made = [
        subject
        for name, files in rehearsal.plan.items()
        for subject in corpus.of(name, files["after"])
    ]
    done = _compare(rehearsal, made[rehearsal.looked :], book, seconds=STEP_SECONDS)
    looked = rehearsal.looked + done
    return {
        "looked": looked,
        "total": len(made),
        "stage": Stage.DONE if looked >= len(made) else Stage.MADE,
    }


_STEPS: dict[Stage, Callable[[Rehearsal, Book], dict[str, Any]]] = {
    Stage.LETTERS: _letters,
    Stage.EVENTS: _events,
    Stage.MADE: _made,
}


def _through(rehearsal: Rehearsal, page: Page, book: Book) -> dict[str, Any]:
    """Render the rows of a page, or as many as there is time for; returns the place where the next step begins."""
    began = time.monotonic()
    for number, (key, found) in enumerate(page.rows):
        _compare(rehearsal, found, book)
        if time.monotonic() - began > STEP_SECONDS and number + 1 < len(page.rows):
            return {"cursor": key, "looked": rehearsal.looked + number + 1}
    return {"cursor": page.cursor, "looked": rehearsal.looked + page.looked}


def _compare(
    rehearsal: Rehearsal, found: Iterable[Subject], book: Book, *, seconds: float | None = None
) -> int:
    """Render these, or as many as there is time for; returns how many."""
    began = time.monotonic()
    done = 0
    for subject in found:
        book.add(subject, comparing.of(rehearsal)[subject.template].of(subject.context))
        done += 1
        if seconds is not None and time.monotonic() - began > seconds:
            break
    return done
