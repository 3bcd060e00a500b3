"""Say in one word what happened to emails, for many rows at once: the columns of orders, customers and accounts.

The number of queries is the same however many rows there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower

from emails.dead_letters import new_addresses
from emails.models import Notification
from emails.reports import standings
from emails.reports.standings import Standing
from emails.sending import states
from orders.email_status import EmailOutcome
from queues.models import DeadLetter, OutboxEvent

Delivery = Notification.Delivery

# Labels and their colours where an event has no email.
_WITHOUT_EMAIL = {
    OutboxEvent.State.HELD: ("Held", "warning"),
    OutboxEvent.State.REFUSED: ("Refused by SQS", "danger"),
    OutboxEvent.State.DISCARDED: ("Discarded", ""),
    OutboxEvent.State.HANDLED: ("No email", ""),
}
# These emails did not arrive; ``emails.dead_letters.new_addresses`` sends them to a corrected address.
_LOST = (Standing.FAILED, Standing.SUPPRESSED, Standing.DEAD_LETTER, Standing.STOPPED)
_DEAD = (str(Standing.DEAD_LETTER.label), standings.COLOURS[Standing.DEAD_LETTER])
_WAITING = (str(Standing.PENDING.label), standings.COLOURS[Standing.PENDING])


def of_notifications(rows: Collection[Notification]) -> dict[UUID, EmailOutcome]:
    """Return the outcome of each of these emails, by its key."""
    found = standings.of(rows)
    return {row.pk: _of(row, found[row.pk]) for row in rows}


def of_event(event_id: UUID) -> EmailOutcome | None:
    """Return the outcome of this event's email, or of its dead letter; None if it has neither."""
    email: Notification | None = None
    for row in Notification.objects.filter(event_id=event_id).defer("context").order_by("id"):
        email = _told_by(email, row)
    if email:
        return of_notifications([email])[email.pk]
    return EmailOutcome(*_DEAD, event_id, True) if _dead({event_id}) else None


def of_subjects(subjects: Collection[str]) -> Mapping[str, EmailOutcome]:
    """Return the outcome of the email about each of these subjects; a subject is missing if nothing is known of it.

    Any producer may write any subject into a message, so our own outbox decides which event is meant.
    """
    events = _first_events(subjects)
    emails: dict[str, Notification] = {}
    for row in Notification.objects.filter(subject__in=subjects).defer("context").order_by("id"):
        event = events.get(row.subject)
        if event is None or event.event_id == row.event_id:
            emails[row.subject] = _told_by(emails.get(row.subject), row)
    told = of_notifications(emails.values())
    lonely = {subject: event for subject, event in events.items() if subject not in emails}
    dead = _dead({event.event_id for event in lonely.values()})
    return {subject: told[row.pk] for subject, row in emails.items()} | {
        subject: _without_email(event, is_dead=event.event_id in dead)
        for subject, event in lonely.items()
    }


def of_addresses(rows: QuerySet[Any], column: str) -> Mapping[Any, EmailOutcome]:
    """Return the outcome of the newest email to the address in this column, by the row's key."""
    key = OuterRef("address_key")
    emails = Notification.objects.order_by("-id").values("pk")
    found = rows.order_by().annotate(
        address_key=Coalesce(f"{column}_key", Lower(column)),
        plain=Subquery(emails.alias(folded=Lower("recipient")).filter(folded=key)[:1]),
        other=Subquery(emails.filter(recipient_key=key)[:1]),
    )
    # The keys of emails grow with time.
    newest = {
        pk: max(filter(None, keys), default=None)
        for pk, *keys in found.values_list("pk", "plain", "other")
    }
    wanted = Notification.objects.filter(pk__in=filter(None, newest.values())).defer("context")
    told = of_notifications(wanted)
    return {pk: told[email] for pk, email in newest.items() if email in told}


def _of(row: Notification, standing: Standing) -> EmailOutcome:
    delivery = Delivery(row.delivery_status)
    # What SES reported of an email that was sent counts; a report of a state before does not.
    if standing == Standing.SENT and delivery != Delivery.NONE:
        told, colour = str(delivery.label), standings.DELIVERY_COLOURS[delivery]
        is_lost = delivery in new_addresses.NOT_DELIVERED
    else:
        told, colour = str(standing.label), standings.COLOURS[standing]
        is_lost = standing in _LOST
    return EmailOutcome(told, colour, row.event_id, is_lost)


def _told_by(before: Notification | None, row: Notification) -> Notification:
    """Choose the newer of two emails of an event, unless a correction withdrew it in favour of another address."""
    return before if before and row.reason_code == states.CORRECTED else row


def _first_events(subjects: Collection[str]) -> dict[str, OutboxEvent]:
    """Return the newest outbox row of the first event about each subject."""
    rows = OutboxEvent.objects.filter(subject__in=subjects).defer("body").order_by("id")
    found: dict[str, OutboxEvent] = {}
    for row in rows:
        if row.event_id == found.setdefault(row.subject, row).event_id:
            found[row.subject] = row
    return found


def _without_email(event: OutboxEvent, *, is_dead: bool) -> EmailOutcome:
    label, colour = _WITHOUT_EMAIL.get(OutboxEvent.State(event.state), _WAITING)
    return EmailOutcome(*(_DEAD if is_dead else (label, colour)), event.event_id, is_dead)


def _dead(event_ids: Iterable[UUID | None]) -> set[UUID | None]:
    """Return those of these events that wait for staff as open dead letters."""
    wanted = set(event_ids)
    rows = DeadLetter.objects.open().filter(event_id__in=wanted).order_by()
    return set(rows.values_list("event_id", flat=True)) if wanted else set()
