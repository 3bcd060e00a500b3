"""Keep our suppression list and that of the SES account in step, in one consumer at a time and bounded steps.

When staff add or lift an address, SES is told by one call each. SES's list is read in pages: new entries every five
minutes, all of it once a day. An address that came from SES only, and that a full pass no longer meets, is lifted.
Without the permissions for SES's list, sending goes on; the page of suppressions says what is missing.
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
from queues import addresses
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

TELL, READ = "suppressions tell", "suppressions read"
EVERY_SECONDS = 15
# The pause after SES did not answer.
RETRY_SECONDS = 600
# Calls in one step: SES takes one a second.
MOST_TOLD = 10
MOST_PAGES = 5
PASS_EVERY = timedelta(minutes=5)
FULL_EVERY = timedelta(days=1)
# SES returns a new entry only some time after listing it.
OVERLAP = timedelta(hours=1)

State = Suppression.State
Source = Suppression.Source
Task = Suppression.Task


@watches
def tell() -> int:
    """Tell SES what staff added and lifted; returns the number of addresses told."""
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
            # Emails to lifted addresses are sent anyway: if SES still has the address on its list, it reports that.
            due.update(ses_task=Task.NONE, ses_error=str(exc)[:300])
        _unavailable(TELL, exc)
    return count


@watches
def read() -> int:
    """Continue reading SES's list, or start a new pass when it is due; returns how many addresses were read."""
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
            # The page token may have expired by the next try.
            SuppressionSync.objects.filter(pk=1).update(next_token="", began_at=None)
        _unavailable(READ, exc)
    return count


def _tell(row: Suppression) -> None:
    """Tell SES of one address; a different task that staff set meanwhile stays."""
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
    """Begin a pass if one is due; returns False if not."""
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
    """Suppress new addresses; those lifted after SES listed them stay lifted."""
    found = {addresses.key(each.address): each for each in listed}
    rows = [
        Suppression(
            address=addresses.kept(each.address),
            source=Source.SES,
            reason=f"Listed by SES: {each.reason.lower()}.",
            since=each.since,
        )
        for _, each in sorted(found.items())
    ]
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    known = Suppression.objects.of([row.address for row in rows])
    known.update(ses_seen_at=met_at)
    # An address that is lifted, with SES still to be told, is on SES's list for that reason only.
    for row in known.filter(state=State.LIFTED, ses_task=Task.NONE):
        each = found[addresses.key(row.address)]
        Suppression.objects.filter(pk=row.pk, lifted_at__lt=each.since).update(
            state=State.ACTIVE,
            source=Source.SES,
            reason=f"Listed by SES again: {each.reason.lower()}.",
            since=each.since,
            lifted_at=None,
            sends_again=False,
        )
    return len(found)


def _end(row: SuppressionSync) -> None:
    """End the pass; a full one lifts the addresses that SES has removed from its list."""
    now = timezone.now()
    if row.listed_since is None:
        gone = Suppression.objects.active().filter(
            ses_seen_at__lt=row.began_at, source=Source.SES, since__lt=row.began_at
        )
        count = gone.update(state=State.LIFTED, lifted_at=Now(), reason="No longer on SES's list.")
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
