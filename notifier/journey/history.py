"""List everything known of one email address, newest first: registration, orders, transactions, emails, SES's reports.

Each kind is one look-up by an index, and at most ``MAX_ROWS`` rows of it are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from emails.models import DeliveryEvent, Notification, Suppression
from emails.reports import reasons, report_words
from notifier.journey import email_outcomes
from orders.email_status import EmailOutcome
from orders.models import BankAccount, Customer, Order, Transaction
from orders.money import formatted
from queues.console import change_url

# The most rows of each kind, and of all together: what is older, the lists still have.
MAX_ROWS = 100


@dataclass(frozen=True)
class Entry:
    """One thing that happened, and the page that says more; ``label`` is its outcome in a word."""

    at: datetime
    title: str
    address: str = ""
    detail: str = ""
    label: str = ""
    colour: str = ""


@dataclass(frozen=True)
class History:
    """What happened, newest first; ``is_cut`` says that there is more."""

    entries: Sequence[Entry]
    is_cut: bool


def of(address: str, *, allows: Callable[[str], bool]) -> History:
    """Return what happened to this address, however it is spelled; ``allows`` says of each right whether one has it."""
    kinds = [list(read(address)) for right, read in _KINDS.items() if allows(right)]
    entries = sorted((entry for kind in kinds for entry in kind), key=lambda entry: entry.at)
    is_cut = len(entries) > MAX_ROWS or any(len(kind) >= MAX_ROWS for kind in kinds)
    return History(entries[: -MAX_ROWS - 1 : -1], is_cut)


def _registration(address: str) -> Iterator[Entry]:
    customer = Customer.objects.with_email(address)
    if customer is None:
        return
    yield Entry(customer.registered_at, "Registered", change_url(customer), customer.name)
    if customer.email_verified_at:
        yield Entry(customer.email_verified_at, "Confirmed the address", change_url(customer))


def _orders(address: str) -> Iterator[Entry]:
    rows = list(Order.objects.by(address).order_by("-id")[:MAX_ROWS])
    told = email_outcomes.of_subjects([row.number for row in rows])
    for row in rows:
        money = formatted(row.total, row.currency)
        yield _entry(
            row.placed_at, f"Order {row.number}", change_url(row), money, told.get(row.number)
        )


def _transactions(address: str) -> Iterator[Entry]:
    accounts = BankAccount.objects.held_by(address)[:MAX_ROWS]
    rows = list(
        Transaction.objects.filter(account__in=[row.pk for row in accounts]).order_by("-id")[
            :MAX_ROWS
        ]
    )
    told = email_outcomes.of_subjects([row.reference for row in rows])
    for row in rows:
        yield _entry(
            row.posted_at,
            f"{row.get_kind_display()} {row.reference}",
            change_url(row),
            formatted(row.amount, row.currency),
            told.get(row.reference),
        )


def _emails(address: str) -> Iterator[Entry]:
    rows = _newest(address)
    told = email_outcomes.of_notifications(rows)
    for row in rows:
        what = row.template.replace("_", " ").capitalize()
        title = f"Email: {what} {row.subject}".strip()
        why = reasons.sentence(row.delivery_code) if row.delivery_code else row.reason_code
        yield _entry(row.created_at, title, _timeline(row), why, told[row.pk])


def _reports(address: str) -> Iterator[Entry]:
    rows = {row.provider_message_id: row for row in _newest(address) if row.provider_message_id}
    reports = DeliveryEvent.objects.filter(provider_message_id__in=rows).order_by("-id")
    for report in reports[:MAX_ROWS]:
        row, words = rows[report.provider_message_id], report_words.of(report)
        yield Entry(
            report.happened_at,
            f"SES event: {row.subject or row.template}",
            _timeline(row),
            words.full(quotes=True),
            report.type,
            words.colour,
        )


def _suppressions(address: str) -> Iterator[Entry]:
    for row in Suppression.objects.of([address]):
        page = change_url(row)
        colour = "danger" if row.state == Suppression.State.ACTIVE else ""
        yield Entry(row.since, "Suppressed", page, row.reason, row.get_source_display(), colour)
        if row.lifted_at and row.state == Suppression.State.LIFTED:
            yield Entry(row.lifted_at, "Suppression lifted", page)


def _newest(address: str) -> list[Notification]:
    return list(Notification.objects.to(address).defer("context").order_by("-id")[:MAX_ROWS])


def _timeline(row: Notification) -> str:
    return reverse("timeline", args=[row.event_id])


def _entry(
    at: datetime, title: str, address: str, detail: str, outcome: EmailOutcome | None
) -> Entry:
    label, colour = (outcome.label, outcome.colour) if outcome else ("", "")
    return Entry(at, title, address, detail, label, colour)


# The right to see each kind, and what reads it.
_KINDS: dict[str, Callable[[str], Iterator[Entry]]] = {
    "orders.view_customer": _registration,
    "orders.view_order": _orders,
    "orders.view_transaction": _transactions,
    "emails.view_notification": _emails,
    "emails.view_deliveryevent": _reports,
    "emails.view_suppression": _suppressions,
}
