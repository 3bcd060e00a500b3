"""Tell the support of customers whose emails came back: at most once an hour of each customer.

What SES reports is an incident, saved with the report. One consumer takes the incidents that nobody was told of and
records an event, in one transaction; the event becomes one email like any other, so a crash at any point loses nothing
and repeats nothing. What comes within a customer's hour is in the next email. An email to the support is no incident
itself, so a dead support mailbox makes no loop.
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
from queues import outbox
from queues.events.envelope import Event
from queues.registry import sweeps
from queues.upkeep import duties

logger = logging.getLogger(__name__)

DUTY = "support"
# What their rows are found by; the page of an order shows what is about it, and this is for staff.
SUBJECT = "support-alert"
EVERY_SECONDS = 10
AGAIN_SECONDS = 3600
# In one email, so that its event fits into a message; of a storm the others are in the next ones.
MOST = 20
MAX_REASON = 200
# That are looked at for it.
BATCH = 5000
# The emails whose customers somebody must reach otherwise.
_OF = ("order.", "transaction.")

Kind = Incident.Kind

_WORDS = {
    Kind.BOUNCED_HARD: "Came back for good",
    Kind.BOUNCED_SOFT: "Came back for now, and is not tried again",
    Kind.REFUSED: "Not delivered",
    Kind.COMPLAINED: "Called spam by its recipient",
}


def note(incidents: Sequence[Incident]) -> None:
    """Save those that the support is to know of, once each."""
    if settings.SUPPORT_EMAIL:
        Incident.objects.bulk_create(
            [each for each in incidents if each.notification.event_type.startswith(_OF)],
            ignore_conflicts=True,
        )


@sweeps
def tell() -> int:
    """Record one event for all customers whose hour has come; returns of how many incidents."""
    if not settings.SUPPORT_EMAIL or not _untold().exists():
        return 0
    if duties.take(DUTY, every=EVERY_SECONDS) is None:
        return 0
    _forget_delivered()
    with transaction.atomic():
        due = list(_due())
        # Nobody else has them: who is faster by a duty that took too long leaves none.
        if not _untold().filter(pk__in=due).update(told_at=Now()):
            return 0
        rows = Incident.objects.filter(pk__in=due).select_related("notification").order_by("id")
        outbox.record(_event(rows))
    logger.info("support is told incidents=%d", len(due))
    return len(due)


def _untold() -> QuerySet[Incident]:
    return Incident.objects.filter(told_at=None)


def _forget_delivered() -> None:
    """An answer by a machine, "out of office", is reported like a soft bounce of an email that has arrived."""
    arrived = _untold().filter(kind=Kind.BOUNCED_SOFT, notification__delivered_at__isnull=False)
    _untold().filter(pk__in=list(arrived.values_list("pk", flat=True)[:BATCH])).update(
        told_at=Now()
    )


def _due() -> Iterator[int]:
    """The incidents of customers of whom nobody was told within the hour, oldest first."""
    untold = _untold().order_by("id").values_list("notification__recipient", "pk")[:BATCH]
    by_customer: dict[str, list[int]] = {}
    for recipient, pk in untold:
        by_customer.setdefault(recipient.lower(), []).append(pk)
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
        # Made by hand: looking it up would load the admin into the consumer.
        link=f"{settings.BASE_URL}/admin/emails/notification/{notification.pk}/change/",
    )


def _duty(recipient: str) -> str:
    """The same for the same address, without naming it."""
    return f"{DUTY} {hashlib.sha256(recipient.encode()).hexdigest()[:32]}"
