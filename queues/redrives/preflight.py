"""Preflight: what would come of dead letters if they were redriven now, told from the rows as they are.

Queues tell what cannot be handled; what becomes of the rest the upper apps tell, see ``registry.foresees``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from queues import registry
from queues.errors import Reject
from queues.events.envelope import Event
from queues.models import DeadLetter

BATCH_SIZE = 500
# One look must end before its reader gives up; the oldest come first, and what is left takes another redrive.
MAX_LETTERS = 5_000


class Bucket(StrEnum):
    """What would happen; where an event would do several things, the first of these counts."""

    IN_DOUBT = "in_doubt"
    FAILS = "fails"
    NOT_VERIFIED = "not_verified"
    SENDS = "sends"
    KEPT = "kept"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    SENT = "sent"
    UNTOLD = "untold"

    @property
    def words(self) -> str:
        """For the page: what will happen."""
        return _WORDS[self][0]

    @property
    def consequence(self) -> str:
        """For the page: what that means, and what else to do."""
        return _WORDS[self][1]

    @property
    def is_worth_it(self) -> bool:
        """Whether somebody who knows no better should redrive these."""
        return self in (Bucket.SENDS, Bucket.SENT, Bucket.UNTOLD)


_WORDS = {
    Bucket.SENDS: ("will send", "Their customers get their emails."),
    Bucket.SENT: ("already sent", "Nothing is sent again; the letters are closed."),
    Bucket.NOT_VERIFIED: (
        "recipient not verified",
        "The SES account is in the sandbox and refuses them again. Verify the addresses first.",
    ),
    Bucket.SUPPRESSED: (
        "suppressed",
        "Their addresses must get no email; a redrive only closes the letters. Where that is wrong, lift the address "
        "under Suppressions.",
    ),
    Bucket.KEPT: (
        "kept back",
        "Bulk email is stopped. A redrive closes the letters; the emails go out when a person resumes bulk email.",
    ),
    Bucket.CANCELLED: (
        "cancelled",
        "Somebody cancelled these emails; a redrive only closes the letters.",
    ),
    Bucket.IN_DOUBT: (
        "in doubt",
        "SES may have accepted these, or is being called right now. A redrive sends nothing: say under "
        "Notifications what happened.",
    ),
    Bucket.FAILS: (
        "will fail again",
        "The data does not fit, nobody handles the type, the template cannot be rendered, or settings name no such "
        "queue. Mend that first, or edit the letter.",
    ),
    Bucket.UNTOLD: (
        "not ours to tell",
        "They will be handled again; no email is known to come of it.",
    ),
}
# As the page shows them.
ORDER = tuple(_WORDS)


@dataclass
class Forecast:
    """The letters in each bucket, by their keys. ``left_out``: so many more than one look takes."""

    buckets: dict[Bucket, list[UUID]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: int = 0

    @property
    def count(self) -> int:
        """Of all letters that were looked at."""
        return sum(map(len, self.buckets.values()))


def sort(letters: QuerySet[DeadLetter]) -> Forecast:
    """Look at the open ones among these, oldest first; three queries or so for each 500."""
    able = letters.filter(state=DeadLetter.State.OPEN)
    keys = list(able.order_by("collected_at", "id").values_list("pk", flat=True)[:MAX_LETTERS])
    forecast = Forecast()
    if len(keys) == MAX_LETTERS:
        forecast.left_out = able.count() - len(keys)
    foresights = registry.foresights()
    for batch in _batches(keys):
        for key, bucket in _sorted(batch, foresights):
            forecast.buckets.setdefault(bucket, []).append(key)
    for foresight in foresights:
        forecast.notes += foresight.notes
    return forecast


def of(event: Event) -> Bucket:
    """The same for one event."""
    return _told([event], registry.foresights()).get(event.id, Bucket.UNTOLD)


def _batches(keys: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(keys), BATCH_SIZE):
        yield keys[start : start + BATCH_SIZE]


def _sorted(
    keys: Sequence[UUID], foresights: Sequence[registry.Foresight]
) -> list[tuple[UUID, Bucket]]:
    letters = DeadLetter.objects.filter(pk__in=keys).only("queue", "body")
    found: dict[UUID, Bucket | Event] = {letter.pk: _read(letter) for letter in letters}
    told = _told([event for event in found.values() if isinstance(event, Event)], foresights)
    return [
        (key, told.get(result.id, Bucket.UNTOLD) if isinstance(result, Event) else result)
        for key, result in found.items()
    ]


def _read(letter: DeadLetter) -> Bucket | Event:
    """The event, or what is certain without looking further."""
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
    events: Sequence[Event], foresights: Sequence[registry.Foresight]
) -> Mapping[UUID, Bucket]:
    """Where several apps know of an event, the graver answer counts."""
    told: dict[UUID, Bucket] = {}
    for foresight in foresights:
        for event_id, bucket in foresight(events).items():
            told[event_id] = gravest([bucket, told.get(event_id, bucket)])
    return told


def gravest(buckets: Sequence[Bucket]) -> Bucket:
    """The one that counts."""
    return min(buckets, key=list(Bucket).index)
