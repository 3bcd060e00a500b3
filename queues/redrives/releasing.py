"""Send dead letters of a redrive back: as many as its canary stage and its rate allow now."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet
from django.db.models.functions import Now

from queues import registry
from queues.answers import Bucket
from queues.audit.staff_log import ActLog
from queues.dead_letters import decisions
from queues.models import Redrive, RedriveItem
from queues.redrives import preflight
from queues.redrives.leases import Lease

logger = logging.getLogger(__name__)

# How many dead letters of each canary stage must come through before the next stage; after the last come all others.
STAGES = (1, 10, 100)
LAST_STAGE = len(STAGES)
# The most in one transaction, because SQLite has one writer.
BATCH = 100
# The most in one lease, so that redrives that run at the same time share.
LEASE_BATCH = 500

Outcome = RedriveItem.Outcome
_GOOD = (Outcome.ACCEPTED, Outcome.HANDLED)


def waiting(redrive: Redrive) -> QuerySet[RedriveItem]:
    """Return the items that the redrive has not yet sent back."""
    return redrive.items.filter(outcome=Outcome.WAITING)


def skip(items: QuerySet[RedriveItem], why: str) -> int:
    """Mark items as never to be sent back by this redrive; returns how many."""
    return items.update(outcome=Outcome.SKIPPED, detail=why, settled_at=Now())


def release(lease: Lease) -> int:
    """Send back what is due, or skip it; returns how many. Raises LeaseLost, also if the redrive no longer runs."""
    count, preflights = 0, registry.make_preflights()
    while count < LEASE_BATCH and (more := _release_batch(lease, preflights)):
        count += more
    return count


def due(redrive: Redrive, now: datetime) -> int:
    """Return how many dead letters the redrive's rate allows by now."""
    if not redrive.rate:
        return BATCH
    since = now - _paced_at(redrive, redrive.rate, now)
    # Round, because three times a third of a second is a little less than a second.
    return int(round(since.total_seconds() * redrive.rate, 3))


def _release_batch(lease: Lease, preflights: Sequence[registry.Preflight]) -> int:
    with lease.transaction(state=Redrive.State.RUNNING):
        redrive, now = Redrive.objects.get(pk=lease.redrive.pk), _now(lease.redrive)
        room = min(BATCH, _stage_room(redrive), due(redrive, now))
        first = waiting(redrive).order_by("position").values_list("pk", "letter_id")
        keys = dict(first[: max(0, room)])
    if not keys:
        return 0
    # Between the transactions: a forecast may wait for SES.
    unwanted = _unwanted(redrive, list(keys.values()), preflights)
    with lease.transaction(state=Redrive.State.RUNNING):
        rows = waiting(redrive).filter(pk__in=keys)
        items = list(rows.select_related("letter").order_by("position"))
        _skip_unwanted(redrive, unwanted)
        _send_back(redrive, [item for item in items if item.letter_id not in unwanted])
        _pace(redrive, now, len(items))
    return len(items)


def _stage_room(redrive: Redrive) -> int:
    """Return how many more dead letters the stage takes; when all of a stage came through, begin the next one."""
    while redrive.stage < LAST_STAGE:
        rows = redrive.items.filter(stage=redrive.stage, outcome__in=[Outcome.PENDING, *_GOOD])
        found: dict[str, int] = dict(rows.order_by().values_list("outcome").annotate(Count("pk")))
        pending = found.pop(Outcome.PENDING, 0)
        good = sum(found.values())
        if pending or good < STAGES[redrive.stage]:
            return STAGES[redrive.stage] - good - pending
        redrive.stage += 1
        Redrive.objects.filter(pk=redrive.pk).update(stage=redrive.stage)
        logger.info("redrive stage redrive=%s stage=%d", redrive.pk, redrive.stage)
    return BATCH


def _now(redrive: Redrive) -> datetime:
    """Return the time by the database's clock."""
    moments: QuerySet[Redrive, datetime] = Redrive.objects.filter(pk=redrive.pk).values_list(
        Now(), flat=True
    )
    return moments.get()


def _pace(redrive: Redrive, now: datetime, count: int) -> None:
    if redrive.rate:
        paced_at = _paced_at(redrive, redrive.rate, now) + timedelta(seconds=count / redrive.rate)
        Redrive.objects.filter(pk=redrive.pk).update(paced_at=paced_at)


def _paced_at(redrive: Redrive, rate: int, now: datetime) -> datetime:
    """Return since when the rate counts: at most a second ago, so that a standstill is not made up for in a burst."""
    first = now - timedelta(seconds=1 / rate)
    return max(redrive.paced_at or first, now - timedelta(seconds=1))


def _send_back(redrive: Redrive, items: Sequence[RedriveItem]) -> None:
    """Redrive the dead letters, record it, and write it into the history of each, in the caller's transaction."""
    sent = []
    for item in items:
        if item.letter.queue in settings.QUEUES:
            item.outbox_event = decisions.redrive_one(item.letter)
        if item.outbox_event:
            sent.append(item)
    RedriveItem.objects.bulk_update(sent, ["outbox_event"])
    _of(sent).update(outcome=Outcome.PENDING, stage=redrive.stage, released_at=Now())
    skip(
        _of(items).filter(outcome=Outcome.WAITING),
        "It was no longer open, somebody parked it, or its queue is no longer in settings.",
    )
    if redrive.user_id:
        words = f"Redriven: {redrive.reason}" if redrive.reason else "Redriven."
        # The log has the redrive.
        log = ActLog(redrive.user_id, is_bulk=True)
        log.write_each([item.letter for item in sent], words)


def _unwanted(
    redrive: Redrive, keys: Sequence[UUID], preflights: Sequence[registry.Preflight]
) -> Mapping[UUID, Bucket]:
    """Return those of these dead letters that are now forecast in a bucket that nobody selected, if it matters."""
    if redrive.buckets is None:
        return {}
    found = preflight.sort_keys(keys, preflights).buckets
    return {
        key: bucket for bucket in found if bucket not in redrive.buckets for key in found[bucket]
    }


def _skip_unwanted(redrive: Redrive, unwanted: Mapping[UUID, Bucket]) -> None:
    for bucket in set(unwanted.values()):
        keys = [key for key in unwanted if unwanted[key] == bucket]
        why = f"Not selected; the forecast was: {bucket.words}."
        skip(waiting(redrive).filter(letter__in=keys), why)


def _of(items: Sequence[RedriveItem]) -> QuerySet[RedriveItem]:
    return RedriveItem.objects.filter(pk__in=[item.pk for item in items])
