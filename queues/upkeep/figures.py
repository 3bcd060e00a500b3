"""Count each minute's figures once, in one process: a chart then reads a few hundred rows, however much was sent.

Apps register what they count with ``@measures``. Counts add up, so ten minutes and an hour are sums of minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.db import transaction

from queues import registry
from queues.models.live import Figure
from queues.registry import watches
from queues.upkeep import duties

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
# The one row of this length holds the latest 60 seconds that can be counted, whenever they began.
LATEST = 0
KEEP_DAYS = 8
EVERY_SECONDS = 15
# A minute is counted this long after its end: by then its transactions have committed.
SETTLE = timedelta(seconds=10)
# After a pause of all consumers: at most this many minutes in one call, and no further back than this.
MOST_MINUTES = 60
CATCH_UP = timedelta(days=1)
# How far back the first count of a new database goes.
AT_FIRST = timedelta(hours=1)


@watches
def fill() -> int:
    """Count every minute that has ended since the last count; returns how many minutes."""
    now = duties.take("figures", every=EVERY_SECONDS)
    if now is None:
        return 0
    end = floor(now - SETTLE, MINUTE)
    begins = list(_uncounted(end))[:MOST_MINUTES]
    # Count outside a transaction: it may take a while, and a repeat changes nothing.
    _save([Figure(seconds=MINUTE, begins_at=at, counts=_count(at)) for at in begins])
    for seconds in (TEN_MINUTES, HOUR) if begins else ():
        _add_up(seconds, begins[0], begins[-1])
    _replace_latest(now - SETTLE - timedelta(seconds=MINUTE))
    return len(begins)


def latest() -> Figure | None:
    """Return the counts of the latest 60 seconds, at most half a minute old while a consumer runs."""
    return Figure.objects.filter(seconds=LATEST).last()


def since(begin: datetime, *, seconds: int) -> list[Figure]:
    """Return the figures since ``begin`` in spans of ``seconds``, oldest first; spans nobody counted are missing."""
    return list(Figure.objects.filter(seconds=seconds, begins_at__gte=floor(begin, seconds)))


def total(rows: Iterable[Figure]) -> Counter[str]:
    """Add up the counts of all rows."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.counts)
    return counts


def floor(moment: datetime, seconds: int) -> datetime:
    """Return the start of the span that contains this moment."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def _replace_latest(begin: datetime) -> None:
    counts = _count(begin)
    with transaction.atomic():
        Figure.objects.filter(seconds=LATEST).delete()
        _save([Figure(seconds=LATEST, begins_at=begin, counts=counts)])


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
