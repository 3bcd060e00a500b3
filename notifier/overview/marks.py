"""Mark on the charts what may explain them: redrives, stops of sending, pauses, and new releases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from emails.models import Breaker
from queues.models import Redrive
from queues.models.live import LiveConsumer, PausedQueue

# More lines than these would hide the chart.
MOST = 8


@dataclass(frozen=True)
class Happening:
    """Something that began at a time; ``sign`` is the letter that stands for it on a chart."""

    at: datetime
    sign: str
    text: str


def since(
    begin: datetime,
    *,
    living: Sequence[LiveConsumer],
    paused: Iterable[PausedQueue],
    may: Callable[[str], bool],
) -> list[Happening]:
    """Return the latest happenings since ``begin``, oldest first, with two queries."""
    found = [
        *(_redrives() if may("queues.view_redrive") else ()),
        *(_stops(begin) if may("emails.view_notification") else ()),
        *_releases(living),
        *(
            Happening(row.since, "P", f"queue {row.alias} paused by {row.paused_by}")
            for row in paused
        ),
    ]
    recent = (one for one in found if one.at >= begin)
    return sorted(recent, key=lambda one: one.at)[-MOST:]


def _redrives() -> Iterator[Happening]:
    for row in Redrive.objects.order_by("-id")[:MOST]:
        noun = "dead letter" if row.total == 1 else "dead letters"
        yield Happening(row.created_at, "R", f"{row.total:,} {noun} redriven by {row.started_by}")


def _stops(begin: datetime) -> Iterator[Happening]:
    for row in Breaker.objects.filter(opened_at__gte=begin):
        if row.opened_at:
            yield Happening(row.opened_at, "S", f"sending stopped: {row.name}")


def _releases(living: Sequence[LiveConsumer]) -> Iterator[Happening]:
    """Yield the first start of each release that runs now."""
    firsts: dict[str, datetime] = {}
    for row in living:
        if row.release:
            firsts[row.release] = min(firsts.get(row.release, row.started_at), row.started_at)
    for release, at in firsts.items():
        yield Happening(at, "V", f"version {release} started")
