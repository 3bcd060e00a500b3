"""What one process does for all, once in a while: whoever moves the row on first has the duty.

Nothing is locked meanwhile. Who dies with a duty has left it undone, and it is due again at its usual time.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models.functions import Now

from queues.models.live import Duty


def take(name: str, *, every: int) -> datetime | None:
    """The time, on the database's clock, if nobody has taken this duty for so many seconds; else None."""
    due = Duty.objects.filter(pk=name, taken_at__lte=Now() - timedelta(seconds=every))
    # An UPDATE of nothing would wait for SQLite's one writer.
    if due.exists():
        mine = due.update(taken_at=Now()) == 1
    else:
        mine = Duty.objects.get_or_create(pk=name, defaults={"taken_at": Now()})[1]
    return Duty.objects.values_list("taken_at", flat=True).get(pk=name) if mine else None


def put_off(name: str, *, every: int, seconds: int) -> None:
    """The duty that was taken just now is due after ``seconds`` instead of ``every``."""
    Duty.objects.filter(pk=name).update(taken_at=Now() - timedelta(seconds=every - seconds))


def give_back(name: str, *, to: datetime | None) -> None:
    """It was not used: as if it had been taken last at that time, or never."""
    if to is None:
        Duty.objects.filter(pk=name).delete()
    else:
        Duty.objects.filter(pk=name).update(taken_at=to)


def taken(names: Collection[str]) -> dict[str, datetime]:
    """When each of these duties was taken last, if it ever was."""
    return dict(Duty.objects.filter(pk__in=names).values_list("pk", "taken_at"))
