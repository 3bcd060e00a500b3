"""Count the emails that our own database says are still owed: it decides when a soak is over, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from functools import cache
from typing import Any

import django
from django.apps import apps
from django.db import connections
from django.db.models import Count, Exists, OuterRef, QuerySet

OPEN = "open"


# Facts are done in these; "discarded" is a person's word.
DONE = ["handled", "discarded"]


def owed(*, parked: bool = False, before: datetime | None = None) -> int:
    """Outbox rows and notifications that somebody must still work on; with ``parked`` doubts stay.

    What was refused for good waits as a dead letter and is owed no more, but a doubt is: it may end as ``pending``.
    """
    dead = _rows("queues", "DeadLetter").filter(event_id=OuterRef("event_id"), state=OPEN)
    events = _rows("queues", "OutboxEvent").exclude(state__in=DONE).exclude(Exists(dead))
    moving = _rows("emails", "Notification").filter(
        state__in=["sending"] if parked else ["sending", "in_doubt"]
    )
    waiting = _rows("emails", "Notification").filter(state="pending").exclude(Exists(dead))
    if before:
        events = events.filter(recorded_at__lt=before)
        moving, waiting = (
            moving.filter(created_at__lt=before),
            waiting.filter(created_at__lt=before),
        )
    return moving.count() + waiting.count() + events.count()


def seconds_to_drain(*, most: float, before: datetime | None = None) -> float:
    """Wait until nothing is owed of what was recorded before, ``most`` seconds at most; returns how long it took."""
    began = time.monotonic()
    while owed(before=before) and time.monotonic() < began + most:
        time.sleep(0.25)
    return time.monotonic() - began


def sending() -> int:
    """Emails that somebody claims to be sending."""
    return _rows("emails", "Notification").filter(state="sending").count()


def uncertain() -> int:
    """Emails that are claimed or in doubt: what a crash hits."""
    return _rows("emails", "Notification").filter(state__in=["sending", "in_doubt"]).count()


def in_doubt() -> list[str]:
    """Numbers of orders and transactions."""
    found = _rows("emails", "Notification").filter(state="in_doubt")
    return list(found.values_list("subject", flat=True))


def dead() -> list[str]:
    """Numbers of those that wait as dead letters."""
    found = _rows("queues", "DeadLetter").filter(state=OPEN)
    return list(found.values_list("subject", flat=True))


def attempts() -> dict[str, int]:
    """Count the attempts by their outcome."""
    found = _rows("emails", "Attempt").values_list("outcome").annotate(Count("id"))
    return dict(Counter({outcome or "unknown": count for outcome, count in found.order_by()}))


def reconnect() -> None:
    """Connect again after the database was away."""
    connections.close_all()


def _rows(app: str, model: str) -> QuerySet[Any]:
    _set_up()
    rows: QuerySet[Any] = apps.get_model(app, model)._default_manager.all()
    return rows


@cache
def _set_up() -> None:
    """Set Django up, not at import: the environment names the database once that is started."""
    django.setup()
