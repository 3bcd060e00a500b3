"""Run redrives in the consumers: at a chosen rate, a canary first, and no further when the old failure returns.

``start`` writes down the chosen dead letters; ``advance`` is the step that any number of consumers repeat. One
transaction releases a dead letter and redrives it, so it is sent back once, whatever dies.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Case, Count, F, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils.text import Truncator

from queues.answers import Bucket, Cause
from queues.dead_letters.advice import title
from queues.models import DeadLetter, Redrive, RedriveCause, RedriveItem
from queues.models.sql import due_in
from queues.redrives import releasing, settling
from queues.redrives.leases import Lease, LeaseLost

logger = logging.getLogger(__name__)

# One statement for any number of dead letters, because SQLite has one writer. A dead letter that another redrive
# holds is a conflict, and is left out.
_WRITE_DOWN = """\
INSERT INTO queues_redriveitem (redrive_id, letter_id, position, outcome, detail, fingerprint)
SELECT %s, id, ROW_NUMBER() OVER (ORDER BY id), 'waiting', '', ''
FROM queues_deadletter WHERE id IN ({able})
ON CONFLICT DO NOTHING"""
# The pause between two looks at a redrive that sends nothing back any more and only waits for outcomes.
FOLLOW_PAUSE = timedelta(seconds=5)

# The title of a redrive names so many causes.
MOST_NAMED = 2

State = Redrive.State
Outcome = RedriveItem.Outcome
_BAD = (Outcome.RETURNED, Outcome.BOUNCED)


@transaction.atomic
def start(
    letters: QuerySet[DeadLetter],
    *,
    by: User | str,
    reason: str,
    key: str,
    rate: int | None = None,
    canary: bool = True,
    buckets: Collection[Bucket] | None = None,
    wait: timedelta = timedelta(),
) -> Redrive:
    """Let consumers send these dead letters back, if they are open; a key used before returns its first redrive.

    ``by`` is a user, who gets a log entry, or the name of a script. ``rate`` is in dead letters a second. With
    ``buckets``, each dead letter is forecast right before it would be sent back, and skipped unless it is in one of
    them. Dead letters that are in another unfinished redrive are left out. It begins after ``wait``.
    """
    user, name = (None, by) if isinstance(by, str) else (by, by.get_username())
    redrive, is_new = Redrive.objects.get_or_create(
        key=key,
        defaults={
            "user": user,
            "started_by": name,
            "reason": reason[:300],
            "rate": rate,
            "is_canary": canary,
            "buckets": None if buckets is None else list(buckets),
            "stage": 0 if canary else releasing.LAST_STAGE,
            "next_at": due_in(wait),
        },
    )
    if is_new:
        _write_down(redrive, letters)
        if user:
            words = f"Started: {reason}" if reason else "Started."
            LogEntry.objects.log_actions(user.pk, [redrive], ADDITION, words)
        logger.info("redrive started redrive=%s dead_letters=%d", redrive.pk, redrive.total)
    return redrive


@transaction.atomic
def stop(redrive: Redrive) -> bool:
    """Release no more dead letters; False if it does not run. Those released go on, and their outcome is recorded."""
    running = Redrive.objects.filter(pk=redrive.pk, state=State.RUNNING)
    if not running.update(state=State.STOPPED):
        return False
    _skip_waiting(redrive, "The redrive was stopped before it sent this back.")
    _end(redrive)
    logger.info("redrive stopped redrive=%s", redrive.pk)
    return True


def advance() -> int:
    """Advance every redrive that no consumer leases; returns how many dead letters moved. Consumers repeat this."""
    # The oldest due time first: a redrive that fails each time comes after the others.
    due = list(Redrive.objects.due().order_by("next_at").values_list("pk", flat=True))
    return sum(_take_lease(pk) for pk in due)


def counts(redrive: Redrive) -> dict[str, int]:
    """Count the dead letters by outcome, with 0 for an outcome that none has; one query."""
    rows = redrive.items.order_by().values_list("outcome").annotate(Count("pk"))
    return dict.fromkeys(Outcome.values, 0) | dict(rows)


def _write_down(redrive: Redrive, letters: QuerySet[DeadLetter]) -> None:
    """Add the open dead letters to the redrive in the order of their ids: FIFO queues need the oldest first."""
    able = DeadLetter.objects.filter(
        pk__in=letters.values("pk"), state=DeadLetter.State.OPEN, queue__in=list(settings.QUEUES)
    )
    chosen = able.count()
    if chosen:
        sql, params = able.order_by().values("pk").query.sql_with_params()
        key = Redrive._meta.pk.get_db_prep_value(redrive.pk, connection)
        with connection.cursor() as cursor:
            cursor.execute(_WRITE_DOWN.format(able=sql), [key, *params])
        # Somebody who redrives a parked dead letter wants it now. One that is parked after this stays parked.
        DeadLetter.objects.parked().filter(redrive_items__redrive=redrive).update(parked_until=None)
    redrive.total = redrive.items.count()
    redrive.left_out = max(0, chosen - redrive.total)
    redrive.what = _name_causes(redrive)
    redrive.save(update_fields=["total", "left_out", "what"])
    _end(redrive)


def _name_causes(redrive: Redrive) -> str:
    """Store the redrive's causes; name them by their titles, the most frequent one first."""
    rows = redrive.items.order_by().values_list("letter__fingerprint").annotate(count=Count("pk"))
    causes = [
        RedriveCause(redrive=redrive, fingerprint=fingerprint, count=count)
        for fingerprint, count in rows.order_by("-count", "letter__fingerprint")
    ]
    RedriveCause.objects.bulk_create(causes, batch_size=500)
    found = [cause.fingerprint for cause in causes]
    titles = [_title(redrive, fingerprint) for fingerprint in found[:MOST_NAMED]]
    more = len(found) - len(titles)
    words = "; ".join(titles) + (
        f"; and {more} more cause{'' if more == 1 else 's'}" if more else ""
    )
    return Truncator(words).chars(300)


def _title(redrive: Redrive, fingerprint: str) -> str:
    items = redrive.items.filter(letter__fingerprint=fingerprint).order_by()
    return title(Cause(*items.values_list("letter__code", "letter__reason")[:1].get()))


def _take_lease(pk: uuid.UUID) -> int:
    lease = Lease.take(pk)
    if lease is None:
        return 0
    count = 0
    with suppress(LeaseLost):
        is_last_stage = lease.redrive.stage == releasing.LAST_STAGE
        count += settling.settle(lease, careful=not is_last_stage)
        if lease.redrive.state == State.RUNNING and releasing.waiting(lease.redrive).exists():
            settling.note_failures(lease)
            count += _halt(lease) or releasing.release(lease)
    is_running = lease.redrive.state == State.RUNNING
    count += _end(lease.redrive)
    lease.end(pause=timedelta() if count or is_running else FOLLOW_PAUSE)
    return count


def _halt(lease: Lease) -> int:
    """Stop releasing if an old failure is back; returns how many dead letters that spares."""
    why = _why_halt(lease.redrive)
    if not why:
        return 0
    with lease.transaction(state=State.RUNNING):
        Redrive.objects.filter(pk=lease.redrive.pk).update(state=State.HALTED, why=why)
        count = _skip_waiting(lease.redrive, "The redrive halted before it sent this back.")
    logger.error("redrive halted redrive=%s spared=%d: %s", lease.redrive.pk, count, why)
    return count


def _why_halt(redrive: Redrive) -> str:
    """Return the failure that must halt the redrive; empty to go on.

    That is a failure that the redrive was started for. In a canary it is also a new failure that two dead letters
    share: the same failure twice is no accident.
    """
    failed = redrive.items.filter(outcome__in=[Outcome.PENDING, *_BAD]).exclude(fingerprint="")
    if not failed.exists():
        return ""
    same = Q(fingerprint__in=redrive.items.order_by().values("letter__fingerprint"))
    if redrive.stage < releasing.LAST_STAGE:
        same |= Q(fingerprint__in=_twice(redrive))
    found = failed.filter(same).order_by("position").first()
    return found.detail if found else ""


def _twice(redrive: Redrive) -> QuerySet[RedriveItem, Any]:
    bad = redrive.items.filter(outcome__in=_BAD).order_by()
    return bad.values("fingerprint").annotate(n=Count("pk")).filter(n__gt=1).values("fingerprint")


def _skip_waiting(redrive: Redrive, why: str) -> int:
    return releasing.skip(releasing.waiting(redrive), why)


def _end(redrive: Redrive) -> int:
    """End the redrive if the outcome of every dead letter is known; returns 1 if this call ended it, else 0."""
    if redrive.items.filter(outcome__in=[Outcome.WAITING, Outcome.PENDING]).exists():
        return 0
    ended = Redrive.objects.filter(pk=redrive.pk, ended_at=None).update(
        ended_at=Now(),
        state=Case(When(state=State.RUNNING, then=Value(State.DONE)), default=F("state")),
    )
    if ended:
        logger.info("redrive ended redrive=%s", redrive.pk)
    return ended
