"""Keep SES events about unknown emails, and attach them when their notification becomes known.

An event of a configuration set names its notification. One of an identity has only SES's message id, and may arrive
before our own process has saved that id. Others are about emails that somebody else sends from the same account.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from emails.models import DeliveryEvent, Notification
from emails.reports import consequences, delivery_status
from emails.reports.ses_events import SesEvent, narrowed, read_again
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches

logger = logging.getLogger(__name__)

# Whoever shares the account with us may send millions of emails.
MAX_KEPT = 10_000
MAX_TOGETHER = 500


def mark(events: Collection[SesEvent]) -> None:
    """Mark these stored events as orphans: they have no notification, although their email should have one."""
    unknown = [event for event in events if not event.is_of_no_notification]
    if unknown:
        which = reduce(or_, map(_same, unknown))
        DeliveryEvent.objects.filter(which, is_orphan=False).update(is_orphan=True)


@sweeps
def attach() -> int:
    """Apply orphans whose notification is known by now; returns how many."""
    with transaction.atomic():
        known = Notification.objects.filter(provider_message_id=OuterRef("provider_message_id"))
        rows = list(
            DeliveryEvent.objects.filter(Exists(known), is_orphan=True).order_by("pk")[
                :MAX_TOGETHER
            ]
        )
        if not rows:
            return 0
        owners = {
            owner.provider_message_id: owner
            for owner in Notification.objects.filter(
                provider_message_id__in={row.provider_message_id for row in rows}
            )
        }
        read = [(read_again(row.raw), owners.get(row.provider_message_id)) for row in rows]
        told = narrowed((event, owner) for event, owner in read if event and owner)
        consequences.follow(told)
        delivery_status.raise_delivery([(owner.pk, event) for event, owner in told])
        ids = [row.pk for row in rows]
        DeliveryEvent.objects.filter(pk__in=ids).update(is_orphan=False)
    logger.info("attached events of SES to their emails count=%d", len(rows))
    return len(rows)


@sweeps
def tidy() -> int:
    """Delete a batch of the oldest orphans if there are more than MAX_KEPT; returns how many."""
    orphans = DeliveryEvent.objects.filter(is_orphan=True)
    newest_spare = orphans.order_by("-pk").values_list("pk", flat=True)[MAX_KEPT : MAX_KEPT + 1]
    if not (pks := list(newest_spare)):
        return 0
    return delete_batches(orphans.filter(pk__lte=pks[0]))


def _same(event: SesEvent) -> Q:
    """Return the condition that finds this event's row, by the columns that make an event unique."""
    return Q(
        provider_message_id=event.mail.message_id,
        type=event.kind,
        recipient=event.recipient,
        happened_at=event.moment,
    )
