"""Figures of each minute, counted once by one process: what shows them reads some hundred rows, whatever was sent.

Apps say with ``@measures`` what they count. Counts add up, so ten minutes and an hour are sums of minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from queues import registry
from queues.models.live import Figure
from queues.registry import watches
from queues.upkeep import duties

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
KEEP_DAYS = 8
EVERY_SECONDS = 15
# By then what happened in a minute is committed.
SETTLE = timedelta(seconds=10)
# After a pause of all consumers: so much at once, and no further back.
MOST_MINUTES = 60
CATCH_UP = timedelta(days=1)
AT_FIRST = timedelta(hours=1)


@watches
def fill() -> int:
    """Count the minutes that have ended since the last ones that were counted; returns how many."""
    now = duties.take("figures", every=EVERY_SECONDS)
    if now is None:
        return 0
    end = floor(now - SETTLE, MINUTE)
    begins = list(_uncounted(end))[:MOST_MINUTES]
    # Counted outside of a transaction: it may take a while, and repeating it changes nothing.
    _save([Figure(seconds=MINUTE, begins_at=at, counts=_count(at)) for at in begins])
    for seconds in (TEN_MINUTES, HOUR) if begins else ():
        _add_up(seconds, begins[0], begins[-1])
    return len(begins)


def since(begin: datetime, *, seconds: int) -> list[Figure]:
    """The figures of spans of so many seconds from then on, oldest first; what nobody counted is missing."""
    return list(Figure.objects.filter(seconds=seconds, begins_at__gte=floor(begin, seconds)))


def total(rows: Iterable[Figure]) -> Counter[str]:
    """Their counts together."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.counts)
    return counts


def floor(moment: datetime, seconds: int) -> datetime:
    """The begin of the span that this moment is in."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def _uncounted(end: datetime) -> Iterator[datetime]:
    minutes = Figure.objects.filter(seconds=MINUTE).order_by("-begins_at")
    last = minutes.values_list("begins_at", flat=True).first()
    at = max(last + timedelta(seconds=MINUTE), end - CATCH_UP) if last else end - AT_FIRST
    while at < end:
        yield at
        at += timedelta(seconds=MINUTE)


def _count(begin: datetime) -> dict[str, int]:
    end = begin + timedelta(seconds=MINUTE)
    found = [measure(begin, end) for measure in registry.measures]
    return {name: count for counts in found for name, count in counts.items() if count}


def _add_up(seconds: int, first: datetime, last: datetime) -> None:
    begin, end = floor(first, seconds), floor(last, seconds) + timedelta(seconds=seconds)
    minutes = Figure.objects.filter(seconds=MINUTE, begins_at__gte=begin, begins_at__lt=end)
    sums: dict[datetime, Counter[str]] = {}
    for row in minutes:
        sums.setdefault(floor(row.begins_at, seconds), Counter()).update(row.counts)
    _save([Figure(seconds=seconds, begins_at=at, counts=dict(sums[at])) for at in sums])


def _save(rows: list[Figure]) -> None:
    Figure.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["seconds", "begins_at"],
        update_fields=["counts"],
    )
