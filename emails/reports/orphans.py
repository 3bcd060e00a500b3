"""Events of SES about emails that we do not know: kept, shown, and attached when their notification becomes known.

An event of a configuration set names its notification. One of an identity has SES's message id alone, and may be here
before our own process has saved that id. Others are of emails that somebody else sends from the same account.
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
from emails.reports.ses_events import SesEvent, read_again
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batch

logger = logging.getLogger(__name__)

# Whoever shares the account with us may send millions of emails.
MAX_KEPT = 10_000
MAX_TOGETHER = 500


def mark(events: Collection[SesEvent]) -> None:
    """These, stored already, are of emails that have no notification."""
    unknown = [event for event in events if not event.is_of_no_notification]
    if unknown:
        which = reduce(or_, map(_same, unknown))
        DeliveryEvent.objects.filter(which, is_orphan=False).update(is_orphan=True)


@sweeps
def attach() -> int:
    """Those whose notification is known by now move it on; returns how many."""
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
        told = [(event, owner) for event, owner in read if event and owner]
        consequences.follow(told)
        delivery_status.raise_delivery([(owner.pk, event) for event, owner in told])
        ids = [row.pk for row in rows]
        DeliveryEvent.objects.filter(pk__in=ids).update(is_orphan=False)
    logger.info("attached events of SES to their emails count=%d", len(rows))
    return len(rows)


@sweeps
def tidy() -> int:
    """One batch of the oldest, where there are more than anybody will look at."""
    orphans = DeliveryEvent.objects.filter(is_orphan=True)
    newest_spare = orphans.order_by("-pk").values_list("pk", flat=True)[MAX_KEPT : MAX_KEPT + 1]
    if not (pks := list(newest_spare)):
        return 0
    return delete_batch(orphans.filter(pk__lte=pks[0]))


def _same(event: SesEvent) -> Q:
    """By the columns that make an event one."""
    return Q(
        provider_message_id=event.mail.message_id,
        type=event.kind,
        recipient=event.recipient,
        happened_at=event.moment,
    )
