"""Say why a redrive stands still, or would: nobody carries it on, or nothing is received from its queues."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from queues import masking, registry
from queues.models import DeadLetter, Redrive
from queues.redrives.leases import LEASE

# A consumer looks every second.
SILENT = timedelta(seconds=10)
# A living one renews its lease several times a second.
SLOW = timedelta(seconds=3)


def of(redrive: Redrive) -> str:
    """For its page; empty while it goes on."""
    if redrive.ended_at:
        return ""
    left = _lease_left(redrive)
    if left < -SILENT:
        return "No consumer carries it on: is consume_queue running? It goes on with the next one."
    if redrive.claim and left < LEASE - SLOW:
        return (
            "The consumer that carried it on is slow to answer. If it died, another one takes over within "
            f"{LEASE.seconds} seconds. No letter is sent back twice."
        )
    return why_not_received(DeadLetter.objects.filter(redrive_items__redrive=redrive))


def why_not_received(letters: QuerySet[DeadLetter]) -> str:
    """For a page, of the queues that these letters came from; empty if all are received from."""
    aliases = sorted(letters.order_by().values_list("queue", flat=True).distinct())
    reasons = {alias: registry.why_closed(alias) for alias in aliases}
    said = [f"{alias} ({masking.addresses(why)})" for alias, why in reasons.items() if why]
    if not said:
        return ""
    return (
        f"Nothing is received now from {', '.join(said)}. What is sent back waits until that ends, and goes on by "
        "itself."
    )


def _lease_left(redrive: Redrive) -> timedelta:
    """Of whoever carries it on, by the database's clock; below zero since nobody does."""
    mine = Redrive.objects.filter(pk=redrive.pk)
    now: datetime = mine.values_list(Now(), flat=True).get()
    return redrive.next_at - now
