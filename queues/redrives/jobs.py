"""Redrives that consumers carry out: slowly if wanted, a few letters first, and no further when their failure returns.

``start`` writes down which letters; ``advance`` is the step that any number of consumers call again and again. A
letter is released in the transaction that redrives it, so whatever dies, it is sent back once.
"""

from __future__ import annotations

import logging
import uuid
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

from queues.dead_letters import collecting
from queues.models import DeadLetter, Redrive, RedriveItem
from queues.redrives import releasing, settling
from queues.redrives.leases import Lease, LeaseLost

logger = logging.getLogger(__name__)

# One statement for any number of letters: SQLite has one writer. Those of another redrive are in conflict.
_WRITE_DOWN = """\
INSERT INTO queues_redriveitem (redrive_id, letter_id, position, outcome, detail, fingerprint)
SELECT %s, id, ROW_NUMBER() OVER (ORDER BY id), 'waiting', '', ''
FROM queues_deadletter WHERE id IN ({able})
ON CONFLICT DO NOTHING"""
# While letters of a redrive that has ended are merely followed.
FOLLOW_PAUSE = timedelta(seconds=5)

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
) -> Redrive:
    """Let consumers send these back as far as they are open; with a key that was used before, that redrive.

    ``by`` is a user, who gets an entry in the log for each letter, or the name of a script. ``rate`` is in letters
    a second. What is in another unfinished redrive already is left out.
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
            "stage": 0 if canary else releasing.LAST_STAGE,
            "next_at": Now(),
        },
    )
    if is_new:
        _write_down(redrive, letters)
        if user:
            words = f"Started: {reason}" if reason else "Started."
            LogEntry.objects.log_actions(user.pk, [redrive], ADDITION, words)
        logger.info("redrive started redrive=%s letters=%d", redrive.pk, redrive.total)
    return redrive


@transaction.atomic
def stop(redrive: Redrive) -> bool:
    """Release no more; False if it does not run. What was released goes on, and is followed to its outcome."""
    running = Redrive.objects.filter(pk=redrive.pk, state=State.RUNNING)
    if not running.update(state=State.STOPPED):
        return False
    _skip_waiting(redrive, "The redrive was stopped before its turn.")
    _end(redrive)
    logger.info("redrive stopped redrive=%s", redrive.pk)
    return True


def advance() -> int:
    """Take a turn at every redrive that nobody is at; returns how many letters moved. The consumers' step."""
    # One that fails each time comes after the others.
    due = list(Redrive.objects.due().order_by("next_at").values_list("pk", flat=True))
    return sum(_take_lease(pk) for pk in due)


def counts(redrive: Redrive) -> dict[str, int]:
    """How many letters by outcome, every outcome named; one query."""
    rows = redrive.items.order_by().values_list("outcome").annotate(Count("pk"))
    return dict.fromkeys(Outcome.values, 0) | dict(rows)


def _write_down(redrive: Redrive, letters: QuerySet[DeadLetter]) -> None:
    """In order of their ids, which FIFO queues need: the first to die comes first."""
    able = DeadLetter.objects.filter(
        pk__in=letters.values("pk"), state=DeadLetter.State.OPEN, queue__in=list(settings.QUEUES)
    )
    chosen = able.count()
    if chosen:
        sql, params = able.order_by().values("pk").query.sql_with_params()
        key = Redrive._meta.pk.get_db_prep_value(redrive.pk, connection)
        with connection.cursor() as cursor:
            cursor.execute(_WRITE_DOWN.format(able=sql), [key, *params])
        # Whoever redrives a parked letter wants it now; one that is parked from now on stays.
        DeadLetter.objects.parked().filter(redrive_items__redrive=redrive).update(parked_until=None)
    redrive.total = redrive.items.count()
    redrive.left_out = max(0, chosen - redrive.total)
    redrive.what = _causes(redrive)
    redrive.save(update_fields=["total", "left_out", "what"])
    _end(redrive)


def _causes(redrive: Redrive) -> str:
    """One in the words of its first letter, several by their codes."""
    codes = list(redrive.items.order_by().values_list("letter__code", flat=True).distinct()[:4])
    first = redrive.items.select_related("letter").first()
    if first and len(codes) == 1:
        words = f"{codes[0] or 'no cause recorded'}: {collecting.general(first.letter.reason)}"
        return Truncator(" ".join(words.split())).chars(300)
    return ", ".join(sorted(codes)[:3]) + (" and others" if len(codes) > 3 else "")


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
    """Release no more where a failure is back; returns how many letters that spares."""
    why = _why_halt(lease.redrive)
    if not why:
        return 0
    with lease.transaction(state=State.RUNNING):
        Redrive.objects.filter(pk=lease.redrive.pk).update(state=State.HALTED, why=why)
        count = _skip_waiting(lease.redrive, "The redrive halted before its turn.")
    logger.error("redrive halted redrive=%s spared=%d: %s", lease.redrive.pk, count, why)
    return count


def _why_halt(redrive: Redrive) -> str:
    """Empty to go on. A failure of a stage that another letter had already is no chance any more either."""
    failed = redrive.items.filter(outcome__in=[Outcome.PENDING, *_BAD]).exclude(fingerprint="")
    causes = list(failed.order_by().values_list("fingerprint", flat=True).distinct())
    if not causes:
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
    """It ends when the outcome of every letter is known; returns whether that is so since now."""
    if redrive.items.filter(outcome__in=[Outcome.WAITING, Outcome.PENDING]).exists():
        return 0
    ended = Redrive.objects.filter(pk=redrive.pk, ended_at=None).update(
        ended_at=Now(),
        state=Case(When(state=State.RUNNING, then=Value(State.DONE)), default=F("state")),
    )
    if ended:
        logger.info("redrive ended redrive=%s", redrive.pk)
    return ended
