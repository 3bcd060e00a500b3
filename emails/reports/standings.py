"""Say where an email stands: its own state and, while it is not sent, what became of its message.

The state alone cannot tell: an email whose message is a dead letter stays ``pending``, like one on its way. Whatever
shows or filters the state of emails takes it from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, TextChoices

from emails.models import Notification
from queues.models import DeadLetter, OutboxEvent, in_state

State = Notification.State
Delivery = Notification.Delivery


class Standing(TextChoices):
    """Where an email stands.

    ``retrying``: tried, and not accepted yet. ``redriving``: its dead letter was redriven. ``stopped``: its dead letter
    was closed, and no message of its event is on its way. The other names are those of ``Notification.State``.
    """

    PENDING = "pending"
    RETRYING = "retrying", "Waiting for retry"
    REDRIVING = "redriving"
    DEAD_LETTER = "dead_letter", "Dead letter"
    STOPPED = "stopped"
    SENDING = "sending"
    SENT = "sent"
    IN_DOUBT = "in_doubt", "In doubt"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"
    KEPT = "kept"


# The colours of Unfold's labels, wherever a standing or what SES reported is shown; none for what needs no attention.
COLOURS: Mapping[str, str] = {
    Standing.PENDING: "info",
    Standing.RETRYING: "warning",
    Standing.REDRIVING: "info",
    Standing.DEAD_LETTER: "danger",
    Standing.STOPPED: "",
    Standing.SENDING: "info",
    Standing.SENT: "success",
    Standing.IN_DOUBT: "warning",
    Standing.FAILED: "danger",
    Standing.CANCELLED: "",
    Standing.SUPPRESSED: "warning",
    Standing.KEPT: "warning",
}
DELIVERY_COLOURS: Mapping[str, str] = {
    Delivery.DELAYED: "warning",
    Delivery.DELIVERED: "success",
    Delivery.BOUNCED_SOFT: "warning",
    Delivery.BOUNCED_HARD: "danger",
    Delivery.COMPLAINED: "danger",
    Delivery.REJECTED: "danger",
    Delivery.SUPPRESSED: "danger",
}
# So many keys a query may name.
MOST_KEYS = 1000
_OPEN = DeadLetter.State.OPEN
# Outbox events whose message is on its way to a consumer, or will be.
_UNDER_WAY = (
    OutboxEvent.State.PENDING,
    OutboxEvent.State.CLAIMED,
    OutboxEvent.State.PUBLISHED,
    OutboxEvent.State.HELD,
)


def of(notifications: Collection[Notification]) -> dict[UUID, Standing]:
    """Return where each of these emails stands, by its key; takes two queries, however many there are."""
    unsent = {row.event_id for row in notifications if row.state in Notification.UNSENT}
    letters = _letters(unsent)
    closed = [event_id for event_id, states in letters.items() if _OPEN not in states]
    under_way = _under_way(closed)
    return {
        row.pk: _standing(row, letters.get(row.event_id, set()), row.event_id in under_way)
        for row in notifications
    }


def of_one(notification: Notification) -> Standing:
    """Return where this email stands."""
    return of([notification])[notification.pk]


def select(emails: QuerySet[Notification], standing: Standing) -> QuerySet[Notification]:
    """Select those of these emails that stand there; the tables may hold a million emails and as many dead letters."""
    chosen = _UNSENT.get(standing)
    if chosen is None:
        return emails.filter(_in_own_state(standing))
    condition = in_state(*Notification.UNSENT) & chosen()
    if standing not in _FEW:
        return emails.filter(condition)
    # PostgreSQL cannot guess that hardly any email is left. To find a page of them it would walk through all.
    keys = Notification.objects.filter(condition).order_by().values_list("pk", flat=True)
    found = list(keys[: MOST_KEYS + 1])
    return emails.filter(pk__in=found) if len(found) <= MOST_KEYS else emails.filter(condition)


def _standing(row: Notification, letters: set[str], is_under_way: bool) -> Standing:
    if row.state not in Notification.UNSENT:
        return Standing(row.state)
    if _OPEN in letters:
        return Standing.DEAD_LETTER
    if letters and is_under_way:
        return Standing.REDRIVING
    if row.state == State.FAILED:
        return Standing.FAILED
    if letters:
        return Standing.STOPPED
    return Standing.RETRYING if row.attempts else Standing.PENDING


def _letters(event_ids: Collection[UUID]) -> dict[UUID, set[str]]:
    """Return the states of the dead letters of each event."""
    found: dict[UUID, set[str]] = defaultdict(set)
    if event_ids:
        rows = DeadLetter.objects.filter(event_id__in=event_ids).order_by()
        for event_id, state in rows.values_list("event_id", "state"):
            if event_id:
                found[event_id].add(state)
    return found


def _under_way(event_ids: Collection[UUID]) -> set[UUID]:
    if not event_ids:
        return set()
    rows = OutboxEvent.objects.filter(event_id__in=event_ids, state__in=_UNDER_WAY).order_by()
    return {event_id for event_id in rows.values_list("event_id", flat=True) if event_id}


# Each is one EXISTS or NOT EXISTS, which PostgreSQL can join instead of asking for each row.
def _letter(*conditions: Q) -> Exists:
    return Exists(DeadLetter.objects.filter(*conditions, event_id=OuterRef("event_id")))


def _message() -> Q:
    rows = OutboxEvent.objects.filter(event_id=OuterRef("event_id"), state__in=_UNDER_WAY)
    return Q(Exists(rows))


def _is_open() -> Q:
    return in_state(_OPEN)


def _is_closed() -> Q:
    return in_state(DeadLetter.State.REDRIVEN, DeadLetter.State.DISCARDED)


def _in_own_state(standing: Standing) -> Q:
    """Select by the state alone, in the words of the index that has this state, if one has."""
    own = Q(state=standing.value)
    return in_state(*_UNWANTED) & own if standing in _UNWANTED else own


_UNWANTED = (Standing.CANCELLED, Standing.SUPPRESSED)


_UNSENT: dict[Standing, Any] = {
    Standing.PENDING: lambda: Q(~_letter(), state=State.PENDING, attempts=0),
    Standing.RETRYING: lambda: Q(~_letter(), state=State.PENDING, attempts__gt=0),
    Standing.REDRIVING: lambda: Q(_letter(_is_closed(), _message()), ~_letter(_is_open())),
    Standing.DEAD_LETTER: lambda: Q(_letter(_is_open())),
    Standing.STOPPED: lambda: Q(
        _letter(_is_closed()), ~_letter(_is_open() | _message()), state=State.PENDING
    ),
    Standing.FAILED: lambda: Q(~_letter(_is_open() | _message()), state=State.FAILED),
}
_FEW = (Standing.PENDING, Standing.RETRYING, Standing.REDRIVING, Standing.STOPPED)
