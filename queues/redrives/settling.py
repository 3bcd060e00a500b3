"""Record what became of each dead letter in a redrive, from the outbox, the dead letters and the upper apps.

An item stays ``pending`` while its email is in doubt or its message still comes back; that may take days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from queues import registry
from queues.answers import Outcome, Verdict
from queues.dead_letters import collecting
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, RedriveItem
from queues.models.dead_letters import DIED
from queues.redrives.leases import Lease

PAGE = 500

ItemOutcome = RedriveItem.Outcome
Outbox = OutboxEvent.State


class Settled(NamedTuple):
    """The outcome of an item, the reason, and the failure's fingerprint, which equal failures share."""

    outcome: RedriveItem.Outcome
    detail: str
    fingerprint: str = ""


class _Sent(NamedTuple):
    """A released item and its message's state in the outbox; ``state`` is None once the outbox row is deleted."""

    pk: int
    letter_pk: UUID
    event_id: UUID | None
    queue: str
    state: str | None
    sqs_message_id: str | None
    error: str | None
    detail: str


_FIELDS = (
    "pk",
    "letter_id",
    "letter__event_id",
    "letter__queue",
    "outbox_event__state",
    "outbox_event__sqs_message_id",
    "outbox_event__error",
    "detail",
)


def settle(lease: Lease, *, careful: bool) -> int:
    """Store every outcome that is known; returns how many items changed. Raises LeaseLost.

    ``careful``: wait while an upper app expects news soon, as a canary does.
    """
    over = Q(
        outbox_event__state__in=[Outbox.HANDLED, Outbox.DEAD, Outbox.DISCARDED, Outbox.REFUSED]
    ) | Q(outbox_event__state__isnull=True)
    return sum(
        _write(lease, _settled(page, careful=careful))
        for page in _pages(_pending(lease).filter(over))
    )


def note_failures(lease: Lease) -> int:
    """Store the last failure of messages that are still retried; returns how many items changed. Raises LeaseLost."""
    failures = HandlingFailure.objects.filter(
        queue=OuterRef("outbox_event__queue"),
        sqs_message_id=OuterRef("outbox_event__sqs_message_id"),
    )
    # Until the relay publishes it again, a row on a FIFO queue keeps the SQS id of the message that failed before.
    failing = _pending(lease).filter(
        Exists(failures),
        outbox_event__state=Outbox.PUBLISHED,
        outbox_event__published_at__gte=F("released_at"),
    )
    return sum(_write(lease, _failing(page)) for page in _pages(failing))


def _pending(lease: Lease) -> QuerySet[RedriveItem]:
    return lease.redrive.items.filter(outcome=ItemOutcome.PENDING)


def _pages(items: QuerySet[RedriveItem]) -> Iterator[Sequence[_Sent]]:
    """Yield each item once, even while items are settled between two pages."""
    position = 0
    rows = items.order_by("position").values_list("position", *_FIELDS)
    while page := list(rows.filter(position__gt=position)[:PAGE]):
        yield [_Sent(*row[1:]) for row in page]
        position = page[-1][0]


def _write(lease: Lease, found: dict[int, Settled]) -> int:
    """Write a page's outcomes, one UPDATE for each different outcome, and renew the lease; returns how many rows."""
    alike: dict[Settled, list[int]] = defaultdict(list)
    for pk, settled in found.items():
        alike[settled].append(pk)
    with lease.transaction():
        return sum(_write_alike(lease, settled, pks) for settled, pks in alike.items())


def _write_alike(lease: Lease, settled: Settled, pks: Sequence[int]) -> int:
    changes: dict[str, Any] = settled._asdict()
    if settled.outcome != ItemOutcome.PENDING:
        changes["settled_at"] = Now()
    return _pending(lease).filter(pk__in=pks).update(**changes)


def _settled(page: Sequence[_Sent], *, careful: bool) -> dict[int, Settled]:
    """Return the outcomes that are known, by item."""
    handled = [sent.event_id for sent in page if sent.state in (Outbox.HANDLED, None)]
    outcomes = registry.outcomes([event_id for event_id in handled if event_id])
    letters = _letters(page)
    found = {}
    for sent in page:
        if settled := _one(sent, letters.get(sent.pk), outcomes, careful=careful):
            found[sent.pk] = settled
    return found


def _one(
    sent: _Sent, letter: DeadLetter | None, outcomes: dict[UUID, Outcome], *, careful: bool
) -> Settled | None:
    match sent.state:
        case Outbox.REFUSED:
            return _returned("Refused", sent.error or "SQS will not take it as it is.")
        case Outbox.DISCARDED:
            return Settled(ItemOutcome.RETURNED, "It failed again, and somebody discarded it.")
        case Outbox.DEAD:
            # With FIFO_POISON=hold the row is dead a little before the dead letter is collected.
            return _returned(letter.code, letter.reason) if letter else None
    outcome = outcomes.get(sent.event_id) if sent.event_id else None
    if outcome is None:
        return Settled(ItemOutcome.HANDLED, "It was handled; no app knows of an email for it.")
    if outcome.verdict == Verdict.PENDING:
        # An open dead letter means that somebody sent it again by hand, and that this failed.
        return _returned(letter.code, letter.reason) if letter else None
    return None if careful and outcome.may_change else _told(outcome)


def _told(outcome: Outcome) -> Settled:
    match outcome.verdict:
        case Verdict.ACCEPTED:
            return Settled(ItemOutcome.ACCEPTED, outcome.words)
        case Verdict.UNSENT:
            return Settled(ItemOutcome.HANDLED, outcome.words)
        case Verdict.BOUNCED:
            cause = collecting.fingerprint("Bounced", outcome.words)
            return Settled(ItemOutcome.BOUNCED, outcome.words, cause)
        case _:
            return _returned("Failed", outcome.words)


def _returned(code: str, reason: str) -> Settled:
    return Settled(ItemOutcome.RETURNED, _words(code, reason), collecting.fingerprint(code, reason))


def _words(code: str, reason: str) -> str:
    return f"{code}: {collecting.general(reason)}"


def _letters(page: Sequence[_Sent]) -> dict[int, DeadLetter]:
    """Find the dead letter that each item came back as: that of its new message, or an open one of its event."""
    events = {sent.event_id for sent in page if sent.event_id}
    messages = {sent.sqs_message_id for sent in page if not sent.event_id and sent.sqs_message_id}
    rows = DeadLetter.objects.filter(event_id__in=events).order_by("pk")
    if messages:
        queues = {sent.queue for sent in page}
        rows = rows | DeadLetter.objects.filter(queue__in=queues, sqs_message_id__in=messages)
    by_event: dict[UUID | None, list[DeadLetter]] = defaultdict(list)
    for letter in rows.only("event_id", "queue", "sqs_message_id", "state", "code", "reason"):
        by_event[letter.event_id].append(letter)
    return {
        sent.pk: letter
        for sent in page
        for letter in by_event[sent.event_id]
        if letter.pk != sent.letter_pk and letter.queue == sent.queue and _is_it(sent, letter)
    }


def _is_it(sent: _Sent, letter: DeadLetter) -> bool:
    if sent.sqs_message_id and letter.sqs_message_id == sent.sqs_message_id:
        return True
    # Another copy of the message, or one that was sent again by hand.
    return sent.event_id is not None and letter.state == DeadLetter.State.OPEN


def _failing(page: Sequence[_Sent]) -> dict[int, Settled]:
    """Return the last failure of each item that failed, unless the item says so already."""
    ids = {sent.sqs_message_id for sent in page}
    # DIED is only a mark: a consumer that survives takes it back.
    rows = HandlingFailure.objects.filter(sqs_message_id__in=ids).exclude(code=DIED)
    last = {
        (failure.queue, failure.sqs_message_id): failure
        for failure in rows.order_by("receive_count")
    }
    found = {}
    for sent in page:
        if failure := last.get((sent.queue, sent.sqs_message_id or "")):
            words = _words(failure.code, failure.reason)
            if words != sent.detail:
                cause = collecting.fingerprint(failure.code, failure.reason)
                found[sent.pk] = Settled(ItemOutcome.PENDING, words, cause)
    return found
