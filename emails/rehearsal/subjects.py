"""Find what a draft is rehearsed with: open dead letters, and the events of emails of the last days."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q

from emails.models import Notification, RehearsalCase
from emails.sending import planning
from queues import registry
from queues.errors import Reject
from queues.events.envelope import Event
from queues.models import DeadLetter
from queues.uuid7 import first_of

WINDOW = timedelta(days=7)
# The newest emails that are rendered, of all templates of a rehearsal together.
MOST_EVENTS = 10_000
# There is no index for templates: of a rare one, only so many of the newest emails are looked at.
MOST_LOOKED = 500_000
LETTERS_PAGE = 200
EVENTS_PAGE = 1_000
# Of the emails that were not rendered earlier than that.
MOST_OLD = 500
# Rows are saved a little after the time in their ids.
OVERLAP = timedelta(seconds=10)

Kind = RehearsalCase.Kind


class Subject(NamedTuple):
    """One event's data for one template; ``source`` is the dead letter or the notification that has it."""

    kind: RehearsalCase.Kind
    template: str
    context: Mapping[str, Any]
    event_type: str = ""
    subject: str = ""
    happened_at: datetime | None = None
    source: UUID | None = None


class Page(NamedTuple):
    """Some rows: the ``cursor`` behind each, with what it is rehearsed as; ``looked`` counts all rows looked at."""

    rows: list[tuple[UUID, list[Subject]]]
    cursor: UUID | None
    looked: int


def letters(names: Collection[str], *, after: UUID | None, limit: int = LETTERS_PAGE) -> Page:
    """Return the next open dead letters, oldest first, as far as their events owe an unsent email of these templates.

    ``after`` is the cursor of the page before.
    """
    rows = DeadLetter.objects.open().order_by("pk").only("pk", "queue", "body", "collected_at")
    found = list((rows.filter(pk__gt=after) if after else rows)[:limit])
    read = {row.pk: _event(row) for row in found}
    settled = _settled([event.id for event in read.values() if event])
    pages = [
        (row.pk, [*_owed(row, event, names, settled)] if (event := read[row.pk]) else [])
        for row in found
    ]
    return Page(pages, found[-1].pk if found else None, len(found))


def events(
    names: Collection[str], *, before: UUID | None, since: datetime, limit: int = EVENTS_PAGE
) -> Page:
    """Return the next emails of these templates since a time, newest first, as they were recorded.

    ``before`` is the cursor of the page before. Those with an open dead letter are left to ``letters``.
    """
    window = Notification.objects.filter(pk__gte=first_of(since)).order_by("-pk")
    window = window.filter(pk__lt=before) if before else window
    keys = list(window.values_list("pk", flat=True)[:limit])
    if not keys:
        return Page([], None, 0)
    rows = list(_emails(window.filter(pk__gte=keys[-1], template__in=names)))
    dead = _dead(rows)
    found = [(row.pk, [_of_email(row)]) for row in rows if row.event_id not in dead]
    return Page(found, keys[-1], len(keys))


def unsent(names: Collection[str], *, until: datetime) -> Iterator[Subject]:
    """Yield the emails from before this time that are not sent because they could not be rendered, if any.

    Those with an open dead letter are left to ``letters``.
    """
    rows = Notification.objects.filter(
        Q(state__in=Notification.UNSENT), reason_code="RenderError", template__in=names
    )
    found = list(_emails(rows.filter(pk__lt=first_of(until)).order_by("-pk"))[:MOST_OLD])
    dead = _dead(found)
    yield from (_of_email(row) for row in found if row.event_id not in dead)


def newer(names: Collection[str], since: datetime, *, most: int) -> list[Subject] | None:
    """Return what came after a time; None if those are more rows than ``most``."""
    late = first_of(since - OVERLAP)
    emails = Notification.objects.filter(pk__gte=late, template__in=names).order_by("-pk")
    found = [_of_email(row) for row in _emails(emails)[: most + 1]]
    page = letters(names, after=late, limit=most + 1)
    if len(found) + page.looked > most:
        return None
    return found + [subject for _, subjects in page.rows for subject in subjects]


def context_of(case: RehearsalCase) -> Mapping[str, Any] | None:
    """Return the data of a case as it is now; None if its row is gone."""
    match case.kind:
        case Kind.MADE:
            return dict(case.context or {})
        case Kind.EVENT:
            rows = Notification.objects.filter(pk__in=[case.source])
            return rows.values_list("context", flat=True).first()
        case _:
            letter = DeadLetter.objects.filter(pk__in=[case.source]).first()
            event = letter and _event(letter)
            return event.data if event else None


def _emails(rows: Any) -> Any:
    return rows.only(
        *("event_id", "event_type", "subject", "template", "context", "state", "created_at")
    )


def _of_email(row: Notification) -> Subject:
    return Subject(
        Kind.EVENT,
        row.template,
        row.context,
        row.event_type,
        row.subject,
        row.created_at,
        row.pk,
    )


def _dead(rows: Collection[Notification]) -> set[UUID | None]:
    """Return the events, among those of unsent emails, that are open dead letters."""
    unsent = [row.event_id for row in rows if row.state in Notification.UNSENT]
    if not unsent:
        return set()
    letters = DeadLetter.objects.open().filter(event_id__in=unsent)
    return set(letters.values_list("event_id", flat=True))


def _event(letter: DeadLetter) -> Event | None:
    """Return the event in a dead letter; None if consumers would not take it."""
    if not registry.takes_envelopes(letter.queue):
        return None
    try:
        return Event.from_json(letter.body)
    except Reject:
        return None


def _settled(ids: Collection[UUID]) -> set[tuple[UUID, str, str]]:
    """Return the keys of those emails of these events that a redrive would not send."""
    rows = Notification.objects.filter(event_id__in=ids).exclude(state__in=Notification.UNSENT)
    return set(rows.values_list("event_id", "template", "recipient"))


def _owed(
    letter: DeadLetter,
    event: Event,
    names: Collection[str],
    settled: Collection[tuple[UUID, str, str]],
) -> Iterator[Subject]:
    templates = {
        owed.template
        for owed in planning.planned(event)
        if owed.template in names and owed.key not in settled
    }
    for template in sorted(templates):
        yield Subject(
            Kind.LETTER,
            template,
            event.data,
            event.type,
            event.subject,
            letter.collected_at,
            letter.pk,
        )
