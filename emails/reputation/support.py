"""Email the support about customers whose emails bounced, at most once an hour about each customer.

A bounce or complaint is saved as an incident together with SES's report. One consumer takes the untold incidents and
records an event, in one transaction. The event becomes an email like any other, so a crash at any point loses nothing
and repeats nothing. Further incidents of a customer wait until an hour after the last email about them. An email to the
support makes no incident itself, so a dead support mailbox causes no loop.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from emails.events import EmailReturned, Returned
from emails.models.reputation import Incident
from queues import addresses, outbox
from queues.events.envelope import Event
from queues.registry import sweeps
from queues.upkeep import duties

logger = logging.getLogger(__name__)

DUTY = "support"
# The subject of these events. It is no order's: an order's page shows what has its subject, and this is for staff.
SUBJECT = "support-alert"
EVERY_SECONDS = 10
AGAIN_SECONDS = 3600
# The most incidents in one email, so that its event fits into a message; the next emails carry the rest of a storm.
MOST = 20
MAX_REASON = 200
# The most untold incidents that one step looks at.
BATCH = 5000
# If an email about one of these events is lost, somebody must reach its customer another way.
_OF = ("order.", "transaction.")

Kind = Incident.Kind

_WORDS = {
    Kind.BOUNCED_HARD: "Hard bounce",
    Kind.BOUNCED_SOFT: "Soft bounce: SES does not try again",
    Kind.REFUSED: "Not delivered",
    Kind.COMPLAINED: "Marked as spam by its recipient",
}


def note(incidents: Sequence[Incident]) -> None:
    """Save the incidents that the support must know of, each once."""
    if settings.SUPPORT_EMAIL:
        Incident.objects.bulk_create(
            [each for each in incidents if each.notification.event_type.startswith(_OF)],
            ignore_conflicts=True,
        )


@sweeps
def tell() -> int:
    """Record one event about all customers whose hour has passed; returns how many incidents it covers."""
    if not settings.SUPPORT_EMAIL or not _untold().exists():
        return 0
    if duties.take(DUTY, every=EVERY_SECONDS) is None:
        return 0
    _forget_delivered()
    with transaction.atomic():
        due = list(_due())
        # If this duty took too long, a faster process has told them, and none is left here.
        if not _untold().filter(pk__in=due).update(told_at=Now()):
            return 0
        rows = Incident.objects.filter(pk__in=due).select_related("notification").order_by("id")
        outbox.record(_event(rows))
    logger.info("support is told incidents=%d", len(due))
    return len(due)


def _untold() -> QuerySet[Incident]:
    return Incident.objects.filter(told_at=None)


def _forget_delivered() -> None:
    """Mark soft bounces of delivered emails as told: SES reports an out-of-office reply like that."""
    arrived = _untold().filter(kind=Kind.BOUNCED_SOFT, notification__delivered_at__isnull=False)
    _untold().filter(pk__in=list(arrived.values_list("pk", flat=True)[:BATCH])).update(
        told_at=Now()
    )


def _due() -> Iterator[int]:
    """Yield the ids of incidents, oldest first, of customers about whom no email was sent in the last hour."""
    untold = _untold().order_by("id").values_list("notification__recipient", "pk")[:BATCH]
    by_customer: dict[str, list[int]] = {}
    for recipient, pk in untold:
        by_customer.setdefault(addresses.key(recipient), []).append(pk)
    left = MOST
    for recipient, keys in by_customer.items():
        if left <= 0:
            return
        if duties.take(_duty(recipient), every=AGAIN_SECONDS):
            left -= len(keys)
            yield from keys


def _event(rows: QuerySet[Incident]) -> Event:
    found = list(rows)
    data = EmailReturned(
        support=settings.SUPPORT_EMAIL,
        count=len(found),
        emails=[_told(row) for row in found[:MOST]],
        more=max(0, len(found) - MOST),
    )
    return Event.of(data, subject=SUBJECT, partition_key=DUTY)


def _told(row: Incident) -> Returned:
    notification = row.notification
    return Returned(
        subject=notification.subject or notification.template,
        recipient=notification.recipient,
        what=_WORDS[Kind(row.kind)],
        reason=row.reason[:MAX_REASON],
        happened_at=row.happened_at,
        # The path is written out: reverse() would load the admin into the consumer.
        link=f"{settings.BASE_URL}/admin/emails/notification/{notification.pk}/change/",
    )


def _duty(recipient: str) -> str:
    """Return the duty's name for an address: always the same, and without the address in it."""
    return f"{DUTY} {hashlib.sha256(recipient.encode()).hexdigest()[:32]}"
