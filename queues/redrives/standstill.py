"""Tell staff why a redrive stands still or would: no consumer advances it, or no consumer receives from its queues."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from queues import masking, registry
from queues.models import DeadLetter, Redrive
from queues.redrives.leases import LEASE

# A running consumer looks for due redrives every second.
SILENT = timedelta(seconds=10)
# A healthy consumer renews its lease several times a second.
SLOW = timedelta(seconds=3)


def of(redrive: Redrive) -> str:
    """Tell why this redrive stands still; returns an empty text while it goes on."""
    if redrive.ended_at:
        return ""
    left = _lease_left(redrive)
    if left < -SILENT:
        return "No consumer works on this redrive. Start consume_queue, and it continues."
    if redrive.claim and left < LEASE - SLOW:
        return (
            "The consumer that works on this redrive is slow. If it died, another one takes over within "
            f"{LEASE.seconds} seconds. No dead letter is sent back twice."
        )
    return why_not_received(DeadLetter.objects.filter(redrive_items__redrive=redrive))


def why_not_received(letters: QuerySet[DeadLetter]) -> str:
    """Tell why consumers receive nothing from the queues of these dead letters; empty if they receive from all."""
    aliases = sorted(letters.order_by().values_list("queue", flat=True).distinct())
    reasons = {alias: registry.why_closed(alias) for alias in aliases}
    said = [f"{alias} ({masking.addresses(why)})" for alias, why in reasons.items() if why]
    if not said:
        return ""
    return (
        f"Consumers receive nothing from {', '.join(said)} now. What you send back waits until that ends, then "
        "continues by itself."
    )


def _lease_left(redrive: Redrive) -> timedelta:
    """Return how long the lease lasts by the database's clock; negative if no consumer has it."""
    mine = Redrive.objects.filter(pk=redrive.pk)
    now: datetime = mine.values_list(Now(), flat=True).get()
    return redrive.next_at - now
