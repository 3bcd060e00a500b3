"""Which addresses must get no email: those that bounced or complained, and what staff or SES's own list say.

An address is the same whatever its case, the part before the @ as well: in theory a mail server may tell ``Ada@`` from
``ada@``, in practice none does, and an email too few does less harm than one more to somebody who complained.

The list is asked in the statements that claim emails (``emails.sending.statements``, ``emails.sending.claims``), so
none costs a query.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.sending import by_hand
from queues.registry import sweeps

logger = logging.getLogger(__name__)

# What was suppressed longer ago is no news for anybody.
SEND_AGAIN_DAYS = 7
# Of one address at once, and addresses in one step.
MOST_AGAIN = 100
BATCH = 50
# Addresses in one statement.
ADDED = 1000

State = Suppression.State
Source = Suppression.Source
Task = Suppression.Task


@dataclass(frozen=True)
class Entry:
    """An address that must get no email from now on, and why."""

    address: str
    source: Suppression.Source
    reason: str = ""
    added_by: str = ""


@dataclass(frozen=True)
class News:
    """What SES reported of an email of ours."""

    entry: Entry
    notification_id: UUID
    happened_at: datetime


@transaction.atomic
def add(entries: Sequence[Entry], *, reactivate: bool) -> tuple[int, int]:
    """Suppress these; returns how many are new and how many were lifted before.

    The lifted ones are suppressed again, or left as they are.
    """
    # In one order everywhere, or two processes would wait for each other; each address once.
    ordered = [
        entry for _, entry in sorted({item.address.lower(): item for item in entries}.items())
    ]
    batches = [ordered[start : start + ADDED] for start in range(0, len(ordered), ADDED)]
    counts = [_add(batch, reactivate=reactivate) for batch in batches]
    return sum(new for new, _ in counts), sum(lifted for _, lifted in counts)


def _add(entries: Sequence[Entry], *, reactivate: bool) -> tuple[int, int]:
    rows = [_row(entry, task=_task(Task.ADD)) for entry in entries]
    found = Suppression.objects.of([row.address for row in rows])
    known = dict(found.values_list("address", "state"))
    lifted = {address.lower() for address, state in known.items() if state == State.LIFTED}
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows if reactivate else ():
        if row.address.lower() in lifted:
            _reactivate(Suppression.objects.of([row.address]), row)
    return len(rows) - len(known), len(lifted)


def learn(news: Sequence[News]) -> None:
    """SES told of these; settings say what of it counts. Old news changes nothing of what was lifted since.

    Three statements, however many there are, and some for each address that was known before.
    """
    told = {
        item.entry.address.lower(): item
        for item in sorted(news, key=attrgetter("happened_at"))
        if item.entry.source in settings.SUPPRESS_ON
    }
    if not told:
        return
    # In one order everywhere, or two processes would wait for each other.
    rows = {address: _row(item.entry, news=item) for address, item in sorted(told.items())}
    Suppression.objects.bulk_create(rows.values(), ignore_conflicts=True)
    known = Suppression.objects.of([row.address for row in rows.values()])
    lifted = Q(state=State.LIFTED)
    # Of two reasons the graver one is to be known before it is lifted.
    milder = Q(state=State.ACTIVE, source=Source.BOUNCE)
    for found in known.filter(lifted | milder).order_by("id"):
        row, same = rows[found.address.lower()], Suppression.objects.filter(pk=found.pk)
        _reactivate(same.filter(lifted_at__lt=row.since), row)
        if row.source == Source.COMPLAINT:
            same.filter(milder).update(
                source=row.source, reason=row.reason, notification_id=row.notification_id
            )
    for item in told.values():
        logger.warning(
            "suppressed notification=%s source=%s", item.notification_id, item.entry.source
        )


def lift(rows: QuerySet[Suppression], *, sends_again: bool = False) -> int:
    """These may get email again; returns how many.

    With ``sends_again`` what was suppressed within a week is sent as soon as SES has been told.
    """
    return rows.filter(state=State.ACTIVE).update(
        state=State.LIFTED,
        lifted_at=Now(),
        ses_task=_task(Task.REMOVE),
        ses_error="",
        sends_again=sends_again,
    )


def suppressed_lately(address: str) -> QuerySet[Notification]:
    """The emails that a lift would send."""
    begin = timezone.now() - timedelta(days=SEND_AGAIN_DAYS)
    return Notification.objects.to(address).filter(
        state=Notification.State.SUPPRESSED, created_at__gte=begin
    )


@sweeps
def send_lifted() -> int:
    """Send what was suppressed to addresses that have been lifted since; returns how many emails."""
    due = Suppression.objects.filter(
        Q(sends_again=True), state=State.LIFTED, ses_task=Task.NONE
    ).order_by("id")
    return sum(_send_to(row) for row in due[:BATCH])


def listed(addresses: Collection[str]) -> set[str]:
    """Those of these that must get no email, in lower case; one query."""
    if not addresses:
        return set()
    found = Suppression.objects.active().of(addresses).values_list("address", flat=True)
    return {address.lower() for address in found}


@transaction.atomic
def _send_to(row: Suppression) -> int:
    """All or nothing, in one process."""
    mine = Suppression.objects.filter(pk=row.pk, sends_again=True, state=State.LIFTED)
    if not mine.update(sends_again=False):
        return 0
    newest = suppressed_lately(row.address).order_by("-id").values_list("pk", flat=True)
    count = by_hand.send_again(Notification.objects.filter(pk__in=list(newest[:MOST_AGAIN])))
    logger.info("sent again after lift suppression=%s count=%d", row.pk, count)
    return count


def _reactivate(rows: QuerySet[Suppression], row: Suppression) -> int:
    return rows.filter(state=State.LIFTED).update(
        state=State.ACTIVE,
        source=row.source,
        reason=row.reason,
        since=row.since,
        added_by=row.added_by,
        notification_id=row.notification_id,
        lifted_at=None,
        ses_task=row.ses_task,
        ses_error="",
        sends_again=False,
    )


def _row(entry: Entry, *, news: News | None = None, task: str = Task.NONE) -> Suppression:
    return Suppression(
        address=entry.address,
        source=entry.source,
        reason=entry.reason[:300],
        added_by=entry.added_by,
        notification_id=news.notification_id if news else None,
        since=news.happened_at if news else timezone.now(),
        ses_task=task,
    )


def _task(task: Suppression.Task) -> Suppression.Task:
    """Bounces and complaints SES lists itself; what staff say it must be told, where settings let us."""
    return task if settings.SUPPRESSION_SYNC == "both" else Task.NONE
