"""Search for parts: names, parts of addresses, domains, and the first digits of an order's number.

A part has no index, so it is looked for among the newest rows of each kind; the page says where older ones were left
out. Only staff who may see personal data search for parts, as a part would reveal the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse

from emails.models import Notification
from notifier.journey.search import MAX_HITS, MAX_LENGTH, Hit
from orders.models import BankAccount, Customer, Order, Transaction
from orders.money import formatted
from queues import addresses
from queues.console import change_url, list_url

# The newest rows of each kind that are searched: enough for weeks, and about a tenth of a second on PostgreSQL.
SEARCHED = 20_000
# Fewer characters are part of nearly everything.
MIN_LENGTH = 3
MOST_WORDS = 8
# Numbers have six digits or more; no installation has a thousand million orders.
_DIGITS = range(6, 10)
_NUMBER = re.compile(r"(?i)(ORD|TXN)?-?([0-9]{1,9})")


@dataclass(frozen=True)
class Parts:
    """What was found. ``is_partial`` says that older rows were not searched, ``is_cut`` that more were found."""

    hits: Sequence[Hit] = ()
    is_partial: bool = False
    is_cut: bool = False


@dataclass(frozen=True)
class _Kind:
    model: Any
    fields: Sequence[str]


_KINDS = (
    _Kind(Customer, ("name", "email", "email_key")),
    _Kind(BankAccount, ("holder_name", "holder_email", "holder_email_key", "number")),
    _Kind(Order, ("customer_name", "customer_email", "customer_email_key")),
    _Kind(Notification, ("recipient", "recipient_key")),
)


def hits(text: str) -> Parts:
    """Find the rows whose number begins with the text, or whose name or address has all its words as parts."""
    text = addresses.as_typed(text)
    if not text.isprintable() or len(text) > MAX_LENGTH:
        return Parts()
    if number := _NUMBER.fullmatch(text):
        return _by_number((number[1] or "").upper(), number[2])
    words = text.split()
    if len(text) < MIN_LENGTH or len(words) > MOST_WORDS:
        return Parts()
    found: list[Hit] = []
    is_partial = is_cut = False
    for kind in _KINDS:
        rows, is_older = _newest(kind.model.objects.all())
        matching = list(rows.filter(_has_all(words, kind.fields)).order_by("-pk")[: MAX_HITS + 1])
        found += map(_hit, matching[:MAX_HITS])
        is_partial |= is_older
        is_cut |= len(matching) > MAX_HITS
    return Parts(found, is_partial, is_cut)


def _by_number(prefix: str, digits: str) -> Parts:
    """Find orders and transactions by the first digits of their number, which is made from their key."""
    # Longer numbers have no zeros before them. For all ranges at once PostgreSQL would walk through all rows.
    ranges = [
        (int(digits.ljust(length, "0")), int(digits.ljust(length, "9")))
        for length in reversed(_DIGITS)
        if len(digits) <= length and (length == _DIGITS[0] or digits[0] != "0")
    ]
    models: dict[str, Any] = {"ORD": Order, "TXN": Transaction}
    rows = [
        row
        for name, model in models.items()
        if prefix in ("", name)
        for within in ranges
        for row in model.objects.filter(pk__range=within).order_by("-pk")[: MAX_HITS + 1]
    ]
    return Parts([*map(_hit, rows[:MAX_HITS])], is_cut=len(rows) > MAX_HITS)


def _newest(rows: QuerySet[Any]) -> tuple[QuerySet[Any], bool]:
    """Return the newest rows, and whether there are older ones."""
    older = rows.order_by("-pk").values_list("pk", flat=True)[SEARCHED : SEARCHED + 1]
    last = next(iter(older), None)
    return (rows, False) if last is None else (rows.filter(pk__gt=last), True)


def _has_all(words: Sequence[str], fields: Sequence[str]) -> Q:
    wanted = Q()
    for word in words:
        spellings = {word, addresses.in_ascii(word)}
        one = Q()
        for field in fields:
            for spelling in spellings:
                one |= Q(**{f"{field}__icontains": spelling})
        wanted &= one
    return wanted


def _hit(row: Any) -> Hit:
    name = str(row._meta.model_name)
    kind = str(row._meta.verbose_name).capitalize()
    at: datetime | None = None
    match row:
        case Notification():
            told = f"email to {row.recipient}: {row.get_state_display().lower()}"
            page = reverse("timeline", args=[row.event_id])
            return Hit("Email", row.subject or row.template, told, page, row.created_at)
        case Order():
            told = (
                f"{row.customer_name}, {row.customer_email}, {formatted(row.total, row.currency)}"
            )
            at = row.placed_at
        case Transaction():
            told, at = formatted(row.amount, row.currency), row.posted_at
        case Customer():
            told, at = row.email, row.registered_at
        case _:
            told = row.holder_email
    return Hit(kind, str(row), told, change_url(row), at, needs=f"orders.view_{name}")


def lists(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield a link for each list that looks for parts in all its rows: its name, its address, the right to see it."""
    for model in (Notification, Order, Customer, BankAccount, Transaction):
        names, app = str(model._meta.verbose_name_plural), model._meta.app_label
        address = f"{list_url(model)}?{urlencode({'q': text})}"
        yield names.capitalize(), address, f"{app}.view_{model._meta.model_name}"
