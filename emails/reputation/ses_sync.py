"""Keep our list and that of the SES account in step: one consumer at a time, a bounded piece at once.

What staff add or lift is told to SES, one call for each address. SES's list is read by pages: what is new every five
minutes, all of it once a day, and what a whole pass has not met any more, and nobody but SES said, is lifted. Where
SES does not let us, sending goes on without: the page of suppressions says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from emails.errors import ListBusy, ListForbidden, ListUnavailable, NotListable
from emails.models import Suppression, SuppressionSync
from emails.ses import suppression_list
from emails.ses.suppression_list import Listed
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

TELL, READ = "suppressions tell", "suppressions read"
EVERY_SECONDS = 15
# So long nothing is asked after SES would not.
RETRY_SECONDS = 600
# Calls of one step: SES takes one a second.
MOST_TOLD = 10
MOST_PAGES = 5
PASS_EVERY = timedelta(minutes=5)
FULL_EVERY = timedelta(days=1)
# SES shows an address a while after it has listed it.
OVERLAP = timedelta(hours=1)

State = Suppression.State
Source = Suppression.Source
Task = Suppression.Task


@watches
def tell() -> int:
    """Tell SES what staff added and lifted; returns of how many addresses."""
    due = Suppression.objects.filter(ses_task__in=[Task.ADD, Task.REMOVE]).order_by("id")
    if settings.SUPPRESSION_SYNC != "both":
        return due.update(ses_task=Task.NONE) if due.exists() else 0
    if not due.exists() or duties.take(TELL, every=EVERY_SECONDS) is None:
        return 0
    count = 0
    try:
        for row in due[:MOST_TOLD]:
            _tell(row)
            count += 1
    except ListUnavailable as exc:
        if isinstance(exc, ListForbidden):
            # What was lifted is sent all the same: where SES has it on its list, it says so.
            due.update(ses_task=Task.NONE, ses_error=str(exc)[:300])
        _unavailable(TELL, exc)
    return count


@watches
def read() -> int:
    """Read on in SES's list, or begin anew when it is time; returns how many addresses came."""
    if settings.SUPPRESSION_SYNC == "off" or duties.take(READ, every=EVERY_SECONDS) is None:
        return 0
    row, _ = SuppressionSync.objects.get_or_create(pk=1)
    if not row.next_token and not _begun(row):
        return 0
    count = 0
    try:
        for _ in range(MOST_PAGES):
            count += _read_page(row)
            if not row.next_token:
                _end(row)
                break
    except ListUnavailable as exc:
        if not isinstance(exc, ListBusy):
            # Its token may be worth nothing later.
            SuppressionSync.objects.filter(pk=1).update(next_token="", began_at=None)
        _unavailable(READ, exc)
    return count


def _tell(row: Suppression) -> None:
    """Another task, of somebody who changed their mind meanwhile, stays."""
    same = Suppression.objects.filter(pk=row.pk, ses_task=row.ses_task)
    try:
        if row.ses_task == Task.ADD:
            complained = row.source == Source.COMPLAINT
            suppression_list.put(row.address, "COMPLAINT" if complained else "BOUNCE")
        else:
            suppression_list.delete(row.address)
    except NotListable as exc:
        same.update(ses_task=Task.NONE, ses_error=str(exc)[:300])
        return
    same.update(ses_task=Task.NONE, ses_error="")
    logger.info("SES was told suppression=%s task=%s", row.pk, row.ses_task)


def _begun(row: SuppressionSync) -> bool:
    """Whether it is time for another pass."""
    now = timezone.now()
    if row.done_at and row.done_at > now - PASS_EVERY:
        return False
    is_full = row.full_at is None or row.full_at < now - FULL_EVERY
    row.listed_since = None if is_full or not row.done_at else row.done_at - OVERLAP
    row.began_at = now
    row.save(update_fields=["listed_since", "began_at"])
    return True


def _read_page(row: SuppressionSync) -> int:
    page = suppression_list.page(token=row.next_token, since=row.listed_since)
    count = _learn(page.listed, met_at=row.began_at)
    row.next_token = page.next_token
    row.save(update_fields=["next_token"])
    return count


@transaction.atomic
def _learn(listed: Sequence[Listed], *, met_at: datetime | None) -> int:
    """New addresses are suppressed; those that were lifted since SES listed them stay lifted."""
    found = {each.address.lower(): each for each in listed}
    rows = [
        Suppression(
            address=each.address,
            source=Source.SES,
            reason=f"SES listed it: {each.reason.lower()}.",
            since=each.since,
        )
        for _, each in sorted(found.items())
    ]
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    known = Suppression.objects.of([row.address for row in rows])
    known.update(ses_seen_at=met_at)
    # What is lifted and still to be told to SES is on its list for that reason alone.
    for row in known.filter(state=State.LIFTED, ses_task=Task.NONE):
        each = found[row.address.lower()]
        Suppression.objects.filter(pk=row.pk, lifted_at__lt=each.since).update(
            state=State.ACTIVE,
            source=Source.SES,
            reason=f"SES listed it again: {each.reason.lower()}.",
            since=each.since,
            lifted_at=None,
            sends_again=False,
        )
    return len(found)


def _end(row: SuppressionSync) -> None:
    """The pass is over; a full one knows what SES has taken off its list."""
    now = timezone.now()
    if row.listed_since is None:
        gone = Suppression.objects.active().filter(
            ses_seen_at__lt=row.began_at, source=Source.SES, since__lt=row.began_at
        )
        count = gone.update(
            state=State.LIFTED, lifted_at=Now(), reason="SES's list has it no more."
        )
        if count:
            logger.warning("SES's list has no more of ours count=%d", count)
        row.full_at = now
    row.done_at, row.error = now, ""
    row.save(update_fields=["full_at", "done_at", "error"])


def _unavailable(duty: str, exc: ListUnavailable) -> None:
    if isinstance(exc, ListBusy):
        return
    logger.warning("SES's suppression list: %s", exc)
    SuppressionSync.objects.update_or_create(pk=1, defaults={"error": str(exc)[:500]})
    duties.put_off(duty, every=EVERY_SECONDS, seconds=RETRY_SECONDS)
