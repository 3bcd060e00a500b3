"""Let one process do a periodic duty for all: the first process to update the duty's row has it.

It holds no lock while it works. If it dies, that round is left undone, and the duty is due again at its usual time.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models.functions import Now

from queues.models.live import Duty


def take(name: str, *, every: int) -> datetime | None:
    """Take the duty if no process has taken it for ``every`` seconds; returns the database's time, else None."""
    due = Duty.objects.filter(pk=name, taken_at__lte=Now() - timedelta(seconds=every))
    # On SQLite even an UPDATE of no row would wait for the one writer.
    if due.exists():
        mine = due.update(taken_at=Now()) == 1
    else:
        mine = Duty.objects.get_or_create(pk=name, defaults={"taken_at": Now()})[1]
    return Duty.objects.values_list("taken_at", flat=True).get(pk=name) if mine else None


def put_off(name: str, *, every: int, seconds: int) -> None:
    """Make the duty that was just taken due after ``seconds`` instead of ``every``."""
    Duty.objects.filter(pk=name).update(taken_at=Now() - timedelta(seconds=every - seconds))


def give_back(name: str, *, to: datetime | None) -> None:
    """Return a duty unused: record that it was last taken at ``to``, or never."""
    if to is None:
        Duty.objects.filter(pk=name).delete()
    else:
        Duty.objects.filter(pk=name).update(taken_at=to)


def taken(names: Collection[str]) -> dict[str, datetime]:
    """Return when each of these duties was last taken; one that never was is missing."""
    return dict(Duty.objects.filter(pk__in=names).values_list("pk", "taken_at"))
