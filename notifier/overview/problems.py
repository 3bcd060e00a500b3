"""Show what needs a person by what it costs: dead letters say how many customers wait, and for how much money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from notifier.alerts import concerns, costs
from notifier.alerts.concerns import Cause, Concern
from queues.dead_letters import causes
from queues.models import DeadLetter

# Dead letters of a cause are news for so long.
NEWS = timedelta(minutes=5)


@dataclass
class Cost:
    """What a set of dead letters costs, as far as they say it."""

    customers: set[str] = field(default_factory=set)
    cents: Counter[str] = field(default_factory=Counter)
    fresh: int = 0

    def add(self, customer: str, currency: str, cents: int | None, is_fresh: bool) -> None:
        """Add one dead letter."""
        if customer:
            self.customers.add(customer)
        if cents is not None:
            self.cents[currency] += cents
        self.fresh += is_fresh

    def words(self, *, hides_money: bool) -> str:
        """Return customers and money in words: ``62 customers, $17,845``; empty if nothing is known."""
        count = len(self.customers)
        parts = [f"{count:,} customer{'' if count == 1 else 's'}"] if count else []
        if self.cents and not hides_money:
            amounts = (costs.amount(cents, name) for name, cents in self.cents.most_common())
            parts.append(" + ".join(amounts))
        return ", ".join(parts)


@dataclass(frozen=True)
class Row:
    """One cause of a problem, with its page, its number and its cost; ``news`` says if it grows now."""

    words: str
    address: str
    number: str = ""
    cost: str = ""
    news: str = ""


@dataclass(frozen=True)
class Problem:
    """A concern as the overview shows it: wide if it keeps emails from customers, else a line."""

    concern: Concern
    cost: str = ""
    rows: Sequence[Row] = ()

    @property
    def is_wide(self) -> bool:
        """True if the problem deserves more than a line."""
        return self.concern.colour == concerns.DANGER


def current(may: Callable[[str], bool], *, hides_money: bool) -> list[Problem]:
    """List what this user may see, what stops emails first. The costs take one query more than the concerns."""
    found = concerns.current(may)
    known = _costs() if any(concern.key == "letters" for concern in found) else {}
    return [_problem(concern, known, hides_money) for concern in found]


def _problem(concern: Concern, known: Mapping[str, Cost], hides_money: bool) -> Problem:
    if concern.key != "letters":
        return Problem(concern, rows=[_row(cause, at) for cause, at in concern.named])
    whole = Cost()
    for cost in known.values():
        whole.customers |= cost.customers
        whole.cents.update(cost.cents)
    rows = [
        _row(cause, at, known.get(causes.fingerprint_of(cause.place)), hides_money)
        for cause, at in concern.named
    ]
    return Problem(concern, whole.words(hides_money=hides_money), rows)


def _row(cause: Cause, address: str, cost: Cost | None = None, hides_money: bool = False) -> Row:
    words = cause.words or cause.text
    if cost is None:
        return Row(words, address)
    news = f"{cost.fresh:,} new in 5 min" if cost.fresh else ""
    return Row(words, address, f"{cause.count:,}", cost.words(hides_money=hides_money), news)


def _costs() -> dict[str, Cost]:
    """Add up the newest dead letters by fingerprint: as many as the concern counts."""
    rows: Iterable[tuple[str, str, str, int | None, datetime]] = (
        DeadLetter.objects.waiting()
        .order_by("-collected_at")
        .values_list("fingerprint", "customer", "currency", "amount_cents", "collected_at")
    )[: concerns.MOST]
    fresh_from = timezone.now() - NEWS
    found: dict[str, Cost] = {}
    for fingerprint, customer, currency, cents, collected_at in rows:
        cost = found.setdefault(fingerprint, Cost())
        cost.add(customer, currency, cents, collected_at >= fresh_from)
    return found
