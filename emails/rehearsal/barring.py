"""Bar a draft from being published while an event that is rendered today would not be."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from emails.models import Rehearsal, RehearsalCase, TemplateDraft
from emails.models.templates import digest_of
from emails.rehearsal import comparing, jobs, subjects
from emails.rehearsal.book import Book
from emails.versions.drafts import bars

Kind = RehearsalCase.Kind
Outcome = RehearsalCase.Outcome

# Of what came after the rehearsal, so much is rendered while the version is published.
MOST_AT_PUBLISH = 500
# And so much right before that, at the press of the button.
MOST_BEFORE = 5_000


@bars
def why_not(draft: TemplateDraft, by: str) -> list[str]:
    """Return why this draft must not be published now, in sentences for staff; nothing if it may.

    Events that came after the rehearsal are rendered here. Raises RenderError.
    """
    rehearsal = jobs.newest(draft.name)
    reasons = why_not_shown(draft, rehearsal)
    return reasons if reasons or rehearsal is None else _broken_since(rehearsal)


def why_not_shown(draft: TemplateDraft, rehearsal: Rehearsal | None) -> list[str]:
    """Return what this rehearsal alone says against the draft, in sentences for staff; raises RenderError."""
    if rehearsal is None:
        return ["Rehearse this draft first: it has not been rendered with real events."]
    if rehearsal.error:
        return [f"The rehearsal failed: {rehearsal.error}. Rehearse again."]
    if is_stale(draft, rehearsal):
        return ["The draft, or what is in force, has changed since the rehearsal. Rehearse again."]
    if not rehearsal.is_done:
        return ["The rehearsal is still running."]
    return _broken(rehearsal)


def is_stale(draft: TemplateDraft, rehearsal: Rehearsal) -> bool:
    """Return True if the draft would publish other files than were rehearsed, or instead of others."""
    return draft.revision != rehearsal.revision or digest_of(jobs.plan(draft)) != rehearsal.digest


def catch_up(rehearsal: Rehearsal) -> bool:
    """Render what came after the rehearsal, and note what would break; False if there is too much: rehearse again.

    Call it before the transaction that publishes, so that this holds up nobody.
    """
    now = timezone.now()
    found = subjects.newer(rehearsal.plan, rehearsal.until, most=MOST_BEFORE)
    if found is None:
        return False
    broken = Book(rehearsal)
    seen = set(rehearsal.cases.filter(outcome=Outcome.BROKEN).values_list("source", flat=True))
    for subject in found:
        compared = comparing.of(rehearsal)[subject.template].of(subject.context)
        if compared.outcome == Outcome.BROKEN and subject.source not in seen:
            broken.add(subject, compared)
    with transaction.atomic():
        mine = Rehearsal.objects.filter(pk=rehearsal.pk, until=rehearsal.until)
        if mine.update(until=now, counts=broken.counts, kept=broken.kept):
            RehearsalCase.objects.bulk_create(broken.cases, ignore_conflicts=True)
    return True


def _broken(rehearsal: Rehearsal) -> list[str]:
    count = rehearsal.count(Outcome.BROKEN)
    if not count:
        return []
    first = rehearsal.cases.filter(outcome=Outcome.BROKEN).exclude(kind=Kind.MADE).first()
    return [_sentence(count, first.words if first else "", first.reason if first else "")]


def _broken_since(rehearsal: Rehearsal) -> list[str]:
    found = subjects.newer(rehearsal.plan, rehearsal.until, most=MOST_AT_PUBLISH)
    if found is None:
        return ["Too many events have come since the rehearsal. Rehearse again."]
    for subject in found:
        compared = comparing.of(rehearsal)[subject.template].of(subject.context)
        if compared.outcome == Outcome.BROKEN:
            return [_sentence(1, subject.subject, compared.reason)]
    return []


def _sentence(count: int, name: str, reason: str) -> str:
    if count == 1:
        return f"A real event that is rendered today would not be: {name}: {reason}."
    return f"{count:,} real events that are rendered today would not be, such as {name}: {reason}."
