"""Preflight: forecast from the database what a redrive of these dead letters would do now.

This app knows which ones no handler can take. Upper apps forecast the others: see ``registry.preflights``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from queues import registry
from queues.answers import Bucket
from queues.errors import Reject
from queues.events.envelope import Event
from queues.models import DeadLetter

BATCH_SIZE = 500
# The page must appear before its reader gives up. The oldest come first; a redrive forecasts the others on its way.
MAX_DEAD_LETTERS = 1_000


@dataclass
class Forecast:
    """The keys of the dead letters in each bucket; ``rest`` are those after MAX_DEAD_LETTERS, ``beyond`` in number."""

    buckets: dict[Bucket, list[UUID]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rest: QuerySet[DeadLetter] = field(default_factory=DeadLetter.objects.none)
    beyond: int = 0

    @property
    def count(self) -> int:
        """The number of dead letters in all buckets."""
        return sum(map(len, self.buckets.values()))

    @property
    def total(self) -> int:
        """The number of dead letters, with those that were not forecast."""
        return self.count + self.beyond


def sort(letters: QuerySet[DeadLetter]) -> Forecast:
    """Sort the open ones among these dead letters into buckets, oldest first; about three queries for each 500."""
    able = letters.filter(state=DeadLetter.State.OPEN)
    oldest = able.order_by("collected_at", "id").values_list("pk", "collected_at")
    found = list(oldest[:MAX_DEAD_LETTERS])
    forecast = sort_keys([key for key, _ in found], registry.make_preflights())
    if len(found) == MAX_DEAD_LETTERS:
        last, moment = found[-1]
        forecast.rest = able.filter(
            Q(collected_at__gt=moment) | Q(collected_at=moment, pk__gt=last)
        )
        forecast.beyond = able.count() - len(found)
    return forecast


def sort_keys(keys: Sequence[UUID], make_preflights: Sequence[registry.Preflight]) -> Forecast:
    """Sort the dead letters with these keys into buckets; about three queries for each 500.

    A preflight may ask AWS: call this outside of transactions, and with the same preflights for one look.
    """
    forecast = Forecast()
    for batch in _batches(keys):
        for key, bucket in _sorted(batch, make_preflights):
            forecast.buckets.setdefault(bucket, []).append(key)
    for look_ahead in make_preflights:
        forecast.notes += look_ahead.notes
    return forecast


def of(event: Event) -> Bucket:
    """Return the bucket of one event."""
    return _told([event], registry.make_preflights()).get(event.id, Bucket.UNTOLD)


def _batches(keys: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(keys), BATCH_SIZE):
        yield keys[start : start + BATCH_SIZE]


def _sorted(
    keys: Sequence[UUID], make_preflights: Sequence[registry.Preflight]
) -> list[tuple[UUID, Bucket]]:
    letters = DeadLetter.objects.filter(pk__in=keys).only("queue", "body")
    found: dict[UUID, Bucket | Event] = {letter.pk: _read(letter) for letter in letters}
    told = _told([event for event in found.values() if isinstance(event, Event)], make_preflights)
    return [
        (key, told.get(result.id, Bucket.UNTOLD) if isinstance(result, Event) else result)
        for key, result in found.items()
    ]


def _read(letter: DeadLetter) -> Bucket | Event:
    """Return the event, or its bucket if that is certain without asking the upper apps."""
    if letter.queue not in settings.QUEUES:
        return Bucket.FAILS
    if not registry.takes_envelopes(letter.queue):
        return Bucket.UNTOLD
    try:
        event = Event.from_json(letter.body)
    except Reject:
        return Bucket.FAILS
    return event if registry.handlers_of(event.type) else Bucket.FAILS


def _told(
    events: Sequence[Event], make_preflights: Sequence[registry.Preflight]
) -> Mapping[UUID, Bucket]:
    """Ask the upper apps for the bucket of each event; if several answer, the graver answer counts."""
    told: dict[UUID, Bucket] = {}
    for look_ahead in make_preflights:
        for event_id, bucket in look_ahead(events).items():
            told[event_id] = gravest([bucket, told.get(event_id, bucket)])
    return told


def gravest(buckets: Sequence[Bucket]) -> Bucket:
    """Return the gravest of these buckets, in the order of ``Bucket``."""
    return min(buckets, key=list(Bucket).index)
