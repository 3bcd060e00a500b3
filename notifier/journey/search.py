"""Search by whatever staff have: an order or transaction number, an email address, or an id of ours, SQS or SES.

Every query is an exact look-up in an index, on PostgreSQL and on SQLite; only addresses are found in
any spelling.
The number of queries and the number of hits are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from emails.models import DeliveryEvent, Notification
from emails.reports import standings
from emails.reports.standings import Standing
from notifier.journey.subjects import of_subject
from orders.models import BankAccount, Customer, Order, Transaction
from queues import addresses
from queues.console import change_url
from queues.models import DeadLetter, HandlingFailure, OutboxEvent

# The most hits of each kind; a search that finds more is too vague.
MAX_HITS = 50
# Longer than any address or id.
MAX_LENGTH = 320


@dataclass(frozen=True)
class Hit:
    """One search result and the page it leads to.

    ``needs`` is the permission to see that page; the right to see personal data is needed too.
    """

    kind: str
    title: str
    told: str
    address: str
    at: datetime | None = None
    needs: str = ""


@dataclass(frozen=True)
class Found:
    """Event ids, dead letters without an event id, and rows that have their own page."""

    events: frozenset[UUID] = frozenset()
    nameless: tuple[DeadLetter, ...] = ()
    rows: tuple[Order | Transaction | Customer | BankAccount, ...] = ()


def hits(text: str) -> list[Hit]:
    """Find all that the text names: rows of shop and bank, then events, newest first, then other dead letters.

    An event is one hit, however many rows it has.
    """
    text = addresses.as_typed(text)
    if not text or len(text) > MAX_LENGTH or not text.isprintable():
        return []
    found = _found(text)
    letters = [
        Hit("Dead letter", letter.type or "no envelope", letter.state, change_url(letter))
        for letter in found.nameless
    ]
    events = sorted(_event_hits(found.events), key=lambda hit: str(hit.at), reverse=True)
    return [*map(_row_hit, found.rows), *events, *letters]


def _found(text: str) -> Found:
    if "@" in text:
        return _by_address(text)
    parts = [_by_subject(subject) for subject in _subjects(text)]
    parts += [_by_uuid(uuid) for uuid in _uuids(text)]
    if not text.isdecimal():
        parts += [_by_message(text)]
    return Found(
        events=frozenset().union(*(part.events for part in parts)),
        nameless=tuple(row for part in parts for row in part.nameless),
        rows=tuple(row for part in parts for row in part.rows),
    )


def _subjects(text: str) -> list[str]:
    """Complete ``ord-7`` and ``7`` to the printed number; any other text is taken as the subject itself."""
    if match := re.fullmatch(r"(?i)(ORD|TXN)-([0-9]{1,18})", text):
        return [f"{match[1].upper()}-{int(match[2]):06}"]
    if re.fullmatch(r"[0-9]{1,18}", text):
        return [f"{prefix}-{int(text):06}" for prefix in ("ORD", "TXN")]
    return [text]


def _uuids(text: str) -> list[UUID]:
    try:
        return [UUID(text)]
    except ValueError:
        return []


def _by_subject(subject: str) -> Found:
    events = _events(
        OutboxEvent.objects.filter(subject=subject),
        Notification.objects.filter(subject=subject),
        DeadLetter.objects.filter(subject=subject),
    )
    nameless = DeadLetter.objects.filter(subject=subject, event_id=None)[:MAX_HITS]
    # Events say more than the row itself. Without any (they may be older than KEEP_DAYS) show the row.
    named = None if events else of_subject(subject)
    return Found(events, tuple(nameless), (named.row,) if named else ())


def _by_uuid(uuid: UUID) -> Found:
    """Find by an event's id, or by the id of a notification or a dead letter."""
    known = OutboxEvent.objects.filter(Q(event_id=uuid))
    events = _events(
        known,
        Notification.objects.filter(event_id=uuid),
        Notification.objects.filter(pk=uuid),
        DeadLetter.objects.filter(event_id=uuid),
        DeadLetter.objects.filter(pk=uuid),
        HandlingFailure.objects.filter(event_id=uuid),
    )
    return Found(events, tuple(DeadLetter.objects.filter(pk=uuid, event_id=None)))


def _by_message(message_id: str) -> Found:
    """Find by a message id of SQS or of SES."""
    letters = DeadLetter.objects.filter(sqs_message_id=message_id)
    events = _events(
        OutboxEvent.objects.with_message(message_id),
        letters,
        HandlingFailure.objects.filter(sqs_message_id=message_id),
        Notification.objects.filter(provider_message_id=message_id),
        Notification.objects.brought_by(message_id),
        Notification.objects.filter(pk__in=_reported(message_id)),
    )
    return Found(events, tuple(letters.filter(event_id=None)[:MAX_HITS]))


def _reported(message_id: str) -> list[UUID]:
    """Find the notifications that SES's reports on this message name.

    A notification that was sent twice stores only its last message id.
    """
    reports = DeliveryEvent.objects.filter(provider_message_id=message_id).values_list("raw")
    return [uuid for (raw,) in reports[:MAX_HITS] for tag in _tags(raw) for uuid in _uuids(tag)]


def _tags(raw: Any) -> list[str]:
    try:
        return [str(tag) for tag in raw["mail"]["tags"]["nid"]]
    except (KeyError, TypeError):
        return []


def _by_address(address: str) -> Found:
    orders = Order.objects.by(address).order_by("-id").values_list("number", flat=True)
    accounts = BankAccount.objects.held_by(address).order_by("pk")[:MAX_HITS]
    customer = Customer.objects.with_email(address)
    customers = [customer] if customer else []
    subjects = [*orders[:MAX_HITS], *(known.subject for known in customers)]
    events = _events(
        Notification.objects.to(address),
        # Events that no consumer has handled yet have no notification.
        OutboxEvent.objects.filter(subject__in=subjects),
    )
    return Found(events, (), (*customers, *accounts))


def _events(*sources: Any) -> frozenset[UUID]:
    return frozenset(
        event_id
        for rows in sources
        for event_id in rows.order_by("-id").values_list("event_id", flat=True)[:MAX_HITS]
        if event_id
    )


def _event_hits(event_ids: Iterable[UUID]) -> Iterator[Hit]:
    """Make a hit of each event, told by its notification, else dead letter, else outbox row, else failure."""
    rows: dict[UUID, Any] = {}
    models: tuple[Any, ...] = (HandlingFailure, OutboxEvent, DeadLetter, Notification)
    for model in models:
        for row in model.objects.filter(event_id__in=event_ids).order_by("pk"):
            rows[row.event_id] = row
    found = standings.of([row for row in rows.values() if isinstance(row, Notification)])
    for event_id, row in rows.items():
        kind = getattr(row, "event_type", "") or getattr(row, "type", "")
        yield Hit(
            kind=kind or "event",
            title=getattr(row, "subject", "") or str(event_id),
            told=_told(row, found),
            address=reverse("timeline", args=[event_id]),
            at=_since(row),
        )


def _told(row: Any, found: Mapping[UUID, Standing]) -> str:
    match row:
        case Notification():
            return f"email to {row.recipient}: {found[row.pk].label.lower()}"
        case DeadLetter():
            return f"dead letter, {row.get_state_display().lower()}: {row.code}"
        case OutboxEvent():
            return f"no email yet: {row.get_state_display().lower()}"
    return "no email yet: its message failed"


def _since(row: Any) -> datetime | None:
    names = ("created_at", "collected_at", "recorded_at", "failed_at")
    return next((getattr(row, name) for name in names if hasattr(row, name)), None)


def _row_hit(row: Order | Transaction | Customer | BankAccount) -> Hit:
    name = str(row._meta.model_name)
    kind = str(row._meta.verbose_name).capitalize()
    return Hit(kind, str(row), "", change_url(row), needs=f"orders.view_{name}")
