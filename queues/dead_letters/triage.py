"""Say who works on a cause of dead letters, what they know, and what staff have tried before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count
from django.utils.text import Truncator

from queues.dead_letters import causes
from queues.models import CauseNote, Redrive, RedriveCause, RedriveItem

# So many redrives, and so many other acts, are shown.
MOST_SHOWN = 10

Outcome = RedriveItem.Outcome


@dataclass(frozen=True)
class Try:
    """What somebody did about a cause; ``redrive`` is None for any other act."""

    at: datetime
    by: str
    words: str
    redrive: Redrive | None = None


def notes(keys: Collection[str]) -> Mapping[str, CauseNote]:
    """Return owner and note of each of these causes that has one; one query."""
    return CauseNote.objects.select_related("owner").in_bulk(list(keys))


@transaction.atomic
def assign(key: str, *, owner: User | None, by: User) -> None:
    """Make a user the owner of a cause, or nobody, and log it."""
    CauseNote.objects.update_or_create(key=key, defaults={"owner": owner})
    log(key, by=by, words=f"{owner.get_username()} is on it." if owner else "Released it.")


@transaction.atomic
def write(key: str, *, text: str, by: User) -> None:
    """Replace the note on a cause, and log it."""
    CauseNote.objects.update_or_create(key=key, defaults={"text": text})
    log(key, by=by, words=f"Note: {text}" if text else "Removed the note.")


def log(key: str, *, by: User, words: str, flag: int = CHANGE) -> None:
    """Record in the history of a cause what somebody did about it; with the flag PART, the log has its own entry."""
    group = causes.one(causes.fingerprint_of(key))
    LogEntry.objects.create(
        user_id=by.pk,
        content_type=ContentType.objects.get_for_model(CauseNote),
        object_id=key,
        object_repr=Truncator(group.title if group else f"cause {key}").chars(200),
        action_flag=flag,
        change_message=words,
    )


def tried(key: str) -> list[Try]:
    """Return what staff have done about a cause, the newest first; three queries."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(CauseNote), object_id=key
    ).select_related("user")
    acts = [
        Try(entry.action_time, entry.user.get_username(), entry.change_message)
        for entry in entries.order_by("-action_time")[:MOST_SHOWN]
    ]
    taken = RedriveCause.objects.filter(fingerprint=causes.fingerprint_of(key))
    redrives = [
        row.redrive for row in taken.select_related("redrive").order_by("-redrive_id")[:MOST_SHOWN]
    ]
    outcomes = _outcomes(redrives)
    acts += [
        Try(redrive.created_at, redrive.started_by, outcomes[redrive.pk], redrive)
        for redrive in redrives
    ]
    return sorted(acts, key=attrgetter("at"), reverse=True)


def _outcomes(redrives: Collection[Redrive]) -> dict[object, str]:
    counts: dict[object, dict[str, int]] = {redrive.pk: {} for redrive in redrives}
    items = RedriveItem.objects.filter(redrive__in=list(counts)).order_by()
    for pk, outcome, count in items.values_list("redrive", "outcome").annotate(Count("pk")):
        counts[pk][outcome] = count
    return {redrive.pk: _told(redrive, counts[redrive.pk]) for redrive in redrives}


def _told(redrive: Redrive, counts: Mapping[str, int]) -> str:
    good = counts.get(Outcome.ACCEPTED, 0) + counts.get(Outcome.HANDLED, 0)
    bad = counts.get(Outcome.RETURNED, 0) + counts.get(Outcome.BOUNCED, 0)
    words = f"{redrive.get_state_display()}: {good} of {redrive.total} succeeded"
    return f"{words}, {bad} failed again." if bad else f"{words}."
