"""Keep the addresses that must get no email: they bounced or complained, or staff or SES's own list say so.

Addresses are compared by their keys (``queues.addresses``), so no spelling of an address passes the list. An email too
few does less harm than one more to somebody who complained.

The statements that claim emails (``emails.sending.statements``, ``emails.sending.claims``) check the list themselves,
so it costs no query of its own.
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
from queues import addresses
from queues.registry import sweeps

logger = logging.getLogger(__name__)

# An email suppressed longer ago is of no use to anybody.
SEND_AGAIN_DAYS = 7
# The most emails sent again to one address, and the most addresses in one step.
MOST_AGAIN = 100
BATCH = 50
# The most addresses in one statement.
ADDED = 1000

State = Suppression.State
Source = Suppression.Source
Task = Suppression.Task


@dataclass(frozen=True)
class Entry:
    """An address that must get no email from now on, and why.

    With ``lifted_at`` it is one that had to get none until then: a file brings back what another installation knew.
    ``since`` is now if it is None.
    """

    address: str
    source: Suppression.Source
    reason: str = ""
    added_by: str = ""
    since: datetime | None = None
    lifted_at: datetime | None = None


@dataclass(frozen=True)
class News:
    """A bounce or complaint that SES reported for one of our emails."""

    entry: Entry
    notification_id: UUID
    happened_at: datetime


@transaction.atomic
def add(entries: Sequence[Entry], *, reactivate: bool) -> tuple[int, int]:
    """Suppress these addresses; returns how many are new and how many had been lifted before.

    With ``reactivate`` the lifted ones are suppressed again, else they stay lifted.
    """
    # Always in the same order, so that two processes cannot deadlock, and each address once.
    ordered = [
        entry
        for _, entry in sorted({addresses.key(item.address): item for item in entries}.items())
    ]
    batches = [ordered[start : start + ADDED] for start in range(0, len(ordered), ADDED)]
    counts = [_add(batch, reactivate=reactivate) for batch in batches]
    return sum(new for new, _ in counts), sum(lifted for _, lifted in counts)


def _add(entries: Sequence[Entry], *, reactivate: bool) -> tuple[int, int]:
    rows = [_row(entry, task=_task(Task.ADD)) for entry in entries]
    found = Suppression.objects.of([row.address for row in rows])
    known = dict(found.values_list("address", "state"))
    lifted = {addresses.key(row) for row, state in known.items() if state == State.LIFTED}
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows if reactivate else ():
        if addresses.key(row.address) in lifted and row.state == State.ACTIVE:
            _reactivate(Suppression.objects.of([row.address]), row)
    return len(rows) - len(known), len(lifted)


def learn(news: Sequence[News]) -> None:
    """Suppress addresses that SES reported, if SUPPRESS_ON names the cause. An address lifted since stays lifted.

    Costs three statements for any number of addresses, and a few for each address that was known before.
    """
    told = {
        addresses.key(item.entry.address): item
        for item in sorted(news, key=attrgetter("happened_at"))
        if item.entry.source in settings.SUPPRESS_ON
    }
    if not told:
        return
    # Always in the same order, so that two processes cannot deadlock.
    rows = {address: _row(item.entry, news=item) for address, item in sorted(told.items())}
    Suppression.objects.bulk_create(rows.values(), ignore_conflicts=True)
    known = Suppression.objects.of([row.address for row in rows.values()])
    lifted = Q(state=State.LIFTED)
    # Whoever lifts the address must see the graver of two reasons.
    milder = Q(state=State.ACTIVE, source=Source.BOUNCE)
    for found in known.filter(lifted | milder).order_by("id"):
        row, same = rows[addresses.key(found.address)], Suppression.objects.filter(pk=found.pk)
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
    """Lift these, so that they get email again; returns how many.

    With ``sends_again``, emails suppressed in the last week are sent as soon as SES has been told.
    """
    return rows.filter(state=State.ACTIVE).update(
        state=State.LIFTED,
        lifted_at=Now(),
        ses_task=_task(Task.REMOVE),
        ses_error="",
        sends_again=sends_again,
    )


def suppressed_lately(address: str) -> QuerySet[Notification]:
    """Return the suppressed emails to this address that a lift can send."""
    begin = timezone.now() - timedelta(days=SEND_AGAIN_DAYS)
    return Notification.objects.to(address).filter(
        state=Notification.State.SUPPRESSED, created_at__gte=begin
    )


@sweeps
def send_lifted() -> int:
    """Send suppressed emails to addresses that have been lifted since; returns how many emails."""
    due = Suppression.objects.filter(
        Q(sends_again=True), state=State.LIFTED, ses_task=Task.NONE
    ).order_by("id")
    return sum(_send_to(row) for row in due[:BATCH])


def listed(texts: Collection[str]) -> set[str]:
    """Return the keys of those of these addresses that must get no email, by one query."""
    if not texts:
        return set()
    found = Suppression.objects.active().of(texts).values_list("address", flat=True)
    return set(map(addresses.key, found))


@transaction.atomic
def _send_to(row: Suppression) -> int:
    """Send to one lifted address, all emails or none; only one process can win the row."""
    mine = Suppression.objects.filter(pk=row.pk, sends_again=True, state=State.LIFTED)
    if not mine.update(sends_again=False):
        return 0
    newest = suppressed_lately(row.address).order_by("-id").values_list("pk", flat=True)
    count = by_hand.send_again(Notification.objects.filter(pk__in=list(newest[:MOST_AGAIN])))
    logger.info("sent again after lift suppression=%s count=%d", row.pk, count)
    return count


def _reactivate(rows: QuerySet[Suppression], row: Suppression) -> None:
    rows.filter(state=State.LIFTED).update(
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
        address=addresses.kept(entry.address),
        source=entry.source,
        reason=entry.reason[:300],
        added_by=entry.added_by,
        notification_id=news.notification_id if news else None,
        since=news.happened_at if news else entry.since or timezone.now(),
        state=State.LIFTED if entry.lifted_at else State.ACTIVE,
        lifted_at=entry.lifted_at,
        ses_task=Task.NONE if entry.lifted_at else task,
    )


def _task(task: Suppression.Task) -> Suppression.Task:
    """Return the task if settings let us tell SES of staff's change; SES lists bounces and complaints itself."""
    return task if settings.SUPPRESSION_SYNC == "both" else Task.NONE
