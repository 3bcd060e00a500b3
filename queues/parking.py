"""Put dead letters off until a time: they leave the groups that wait for a person, and come back by themselves."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from queues.models import DeadLetter


def park(letters: QuerySet[DeadLetter], *, until: datetime, note: str) -> int:
    """Park open letters, or park them anew; returns how many."""
    return letters.filter(state=DeadLetter.State.OPEN).update(parked_until=until, note=note)


def unpark(letters: QuerySet[DeadLetter]) -> int:
    """Let open letters wait for a person again; returns how many. What the note said stays."""
    return letters.filter(state=DeadLetter.State.OPEN).update(parked_until=None)
