"""Events of nobody's: for tests of what carries them."""

from __future__ import annotations

from django.db import transaction

from queues import outbox
from queues.events.envelope import Event, EventData
from queues.models import OutboxEvent


class ParcelPacked(EventData, type="parcel.packed.v1", queue="orders", source="/tests"):
    """An event of a standard queue."""

    note: str = ""


class ParcelWeighed(EventData, type="parcel.weighed.v1", queue="transactions", source="/tests"):
    """An event of a FIFO queue."""

    note: str = ""


def record(
    note: str = "",
    *,
    group: str = "g",
    data_type: type[EventData] = ParcelPacked,
) -> OutboxEvent:
    """One such event in the outbox, committed."""
    with transaction.atomic():
        return outbox.record(Event.of(data_type(note=note), subject="P-1", partition_key=group))
