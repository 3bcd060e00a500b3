"""What our own database says is still owed. It decides when a soak is over, and nothing else."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import django
from django.apps import apps
from django.db.models import Count, Exists, OuterRef, QuerySet

OPEN = "open"


def owed(*, parked: bool) -> int:
    """Outbox rows and notifications that somebody must still work on; with ``parked`` doubts stay."""
    dead = _rows("queues", "DeadLetter").filter(event_id=OuterRef("event_id"), state=OPEN)
    events = _rows("queues", "OutboxEvent").exclude(state="handled").exclude(Exists(dead))
    moving = ["sending", "pending"] + ([] if parked else ["in_doubt"])
    notifications = _rows("emails", "Notification").filter(state__in=moving).exclude(Exists(dead))
    return events.count() + notifications.count()


def in_doubt() -> list[str]:
    """Numbers of orders and transactions."""
    found = _rows("emails", "Notification").filter(state="in_doubt")
    return list(found.values_list("subject", flat=True))


def dead() -> list[str]:
    """Numbers of those that wait as dead letters."""
    found = _rows("queues", "DeadLetter").filter(state=OPEN)
    return list(found.values_list("subject", flat=True))


def attempts() -> dict[str, int]:
    """How many attempts ended how."""
    found = _rows("emails", "Attempt").values_list("outcome").annotate(Count("id"))
    return dict(Counter({outcome or "unknown": count for outcome, count in found.order_by()}))


def _rows(app: str, model: str) -> QuerySet[Any]:
    _set_up()
    rows: QuerySet[Any] = apps.get_model(app, model)._default_manager.all()
    return rows


@cache
def _set_up() -> None:
    """Not at import: the environment names the database once that is started."""
    django.setup()
