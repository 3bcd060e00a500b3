"""Give the places of a canary to emails: the claim's transaction counts them, so no crash loses or doubles one.

A hash of an email's key could choose a share of all emails, but no number of them: a stage of ten emails needs a
counter that all consumers share. Its price is paid only while a canary has free places. An email keeps its place, and
so its version, however often it is claimed while the canary is open; ``CanaryEmail`` says who has one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from emails.models import Canary, CanaryEmail, EmailTemplate
from emails.versions import editions, in_force
from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)

State = Canary.State


@dataclass(frozen=True)
class Offer:
    """The open canary of a template as this process knows it, and the edition that its emails get."""

    canary: Canary
    edition: int

    @property
    def has_places(self) -> bool:
        """Return True if there may be places; only ``take`` knows."""
        return self.canary.left > 0 and self.canary.state == State.RUNNING


def offer(template: str) -> Offer | None:
    """Return what emails of this template may get instead of the version in force; raises DatabaseError."""
    row = in_force.decided(template)
    if row is None or row.canary is None:
        return None
    head = in_force.letterhead(template)
    return Offer(row.canary, editions.of(row.canary.version_id, head))


def take(offers: Mapping[UUID, Offer]) -> dict[UUID, Offer]:
    """Take places for new notifications, as far as there are any; returns the offers of those that got one.

    The caller's transaction holds the canary's row until it ends, and must call ``save``.
    """
    wanted: defaultdict[int, dict[UUID, Offer]] = defaultdict(dict)
    for pk, one in offers.items():
        wanted[one.canary.pk][pk] = one
    taken: dict[UUID, Offer] = {}
    # The order is the same in every process, or two of them would wait for each other.
    for canary in sorted(wanted):
        row = Canary.objects.select_for_update().filter(pk=canary, state=State.RUNNING).first()
        left = row.left if row else 0
        some = dict(list(wanted[canary].items())[:left])
        Canary.objects.filter(pk=canary).update(left=F("left") - len(some))
        for one in wanted[canary].values():
            # Until this process asks the database again, it asks for no place that is not there.
            one.canary.left = left - len(some)
        taken |= some
    return taken


def save(taken: Mapping[UUID, Offer], made: Collection[UUID]) -> None:
    """Save who has a place; those of emails that were not claimed after all are free again."""
    for pk, one in taken.items():
        if pk in made:
            CanaryEmail.objects.create(canary_id=one.canary.pk, notification_id=pk)
        else:
            Canary.objects.filter(pk=one.canary.pk).update(left=F("left") + 1)
            one.canary.left += 1


def has_one(offer: Offer, notification_id: UUID) -> bool:
    """Return True if the notification has a place of this canary, and the canary is open."""
    return CanaryEmail.objects.filter(
        canary=offer.canary.pk, canary__state__in=Canary.OPEN, notification_id=notification_id
    ).exists()


@by_one_thread
def is_open(canary: int) -> bool:
    """Return True if emails still get the version of this canary."""
    return Canary.objects.filter(pk=canary, state__in=Canary.OPEN).exists()


def end(canary: int, state: Canary.State, *, note: str, event_id: UUID | None = None) -> bool:
    """End a canary in the caller's transaction; False if it was over. The caller calls ``in_force.forget`` after it."""
    # Whoever decides about a template holds its row first.
    list(EmailTemplate.objects.select_for_update().filter(canary=canary))
    is_news = Canary.objects.filter(pk=canary, state__in=Canary.OPEN).update(
        state=state, note=note, event_id=event_id, ended_at=Now()
    )
    EmailTemplate.objects.filter(canary=canary).update(canary=None, revision=F("revision") + 1)
    if is_news:
        logger.warning("canary ended canary=%d state=%s event=%s", canary, state, event_id or "-")
    return bool(is_news)
