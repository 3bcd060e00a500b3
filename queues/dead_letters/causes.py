"""Sum up open dead letters by cause: how many, since when, how many customers, how much money, and the trend.

The number of queries does not grow with the number of dead letters, and each query reads open ones only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Count, F, FloatField, Max, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast, Coalesce, Now
from django.urls import reverse

from queues import masking
from queues.answers import Advice, Cause
from queues.dead_letters.advice import advise
from queues.models import DeadLetter, DeadLetterQuerySet, RedriveItem

# With more causes than this at once, there is one cause behind them all: see the log.
MAX_GROUPS = 50
RECENT = timedelta(minutes=15)
# The address of dead letters without a cause.
NO_FINGERPRINT = "none"


@dataclass(frozen=True)
class Group:
    """The waiting dead letters of one cause. ``oldest_at`` is when the oldest of them was first sent.

    ``recent`` were collected in the last 15 minutes, ``before`` in the 15 minutes before those. ``silent`` ones do not
    name a customer, and count in neither ``customers`` nor ``money``. ``underway`` are in a running redrive.
    """

    fingerprint: str
    code: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    oldest_at: datetime
    recent: int
    before: int
    customers: int
    silent: int
    money: Sequence[tuple[int, str]]
    underway: int
    # The money of a single dead letter tells about its customer.
    is_masked: bool = False

    @cached_property
    def advice(self) -> Advice:
        """The meaning of the cause, and what staff should do about it."""
        is_of_one = self.customers == 1 and not self.silent
        return advise(Cause(self.code, self.reason, is_of_one))

    @property
    def trend(self) -> str:
        """The trend of new dead letters: ``quiet``, ``growing`` or ``slowing``."""
        if not self.recent:
            return "quiet"
        return "growing" if self.recent >= self.before else "slowing"

    @property
    def customers_touched(self) -> str:
        """The number of customers, as far as the dead letters name them."""
        return self._as_far_as_known(f"{self.customers:,}" if self.customers else "")

    @property
    def at_stake(self) -> str:
        """The money in each currency, as far as the dead letters name it."""
        if self.is_masked and self.money:
            return self._as_far_as_known(masking.MASK)
        return self._as_far_as_known(
            " + ".join(f"{currency} {cents / 100:,.2f}" for cents, currency in self.money)
        )

    def _as_far_as_known(self, known: str) -> str:
        if not self.silent:
            return known or "none"
        if self.silent == self.count:
            return "unknown: the dead letters do not say"
        noun = "dead letter" if self.silent == 1 else "dead letters"
        return f"{known or 'none'}, unknown for {self.silent:,} {noun}"

    @property
    def key(self) -> str:
        """The cause's name in URLs."""
        return key_of(self.fingerprint)

    @property
    def address(self) -> str:
        """The URL of the cause's page."""
        return reverse("admin:queues_deadletter_group", args=[self.key])

    def masked(self) -> Group:
        """Return a copy without personal data."""
        return replace(self, reason=masking.addresses(self.reason), is_masked=True)


@dataclass(frozen=True)
class ParkedGroup:
    """Dead letters of one cause that were parked together."""

    fingerprint: str
    code: str
    reason: str
    count: int
    until: datetime | None
    note: str

    @property
    def words(self) -> str:
        """The meaning of the cause."""
        return advise(Cause(self.code, self.reason)).words

    @property
    def address(self) -> str:
        """The URL of the cause's page."""
        return reverse("admin:queues_deadletter_group", args=[key_of(self.fingerprint)])

    def masked(self) -> ParkedGroup:
        """Return a copy without personal data."""
        addresses = masking.addresses
        return replace(self, reason=addresses(self.reason), note=addresses(self.note))


def key_of(fingerprint: str) -> str:
    """Return the name of a fingerprint in URLs."""
    return fingerprint or NO_FINGERPRINT


def fingerprint_of(key: str) -> str:
    """Return the fingerprint that a name in a URL stands for."""
    return "" if key == NO_FINGERPRINT else key


def waiting() -> list[Group]:
    """Return the causes that wait for a person, the fastest growing first, then the largest; three queries."""
    return _groups(DeadLetter.objects.waiting())


def one(fingerprint: str) -> Group | None:
    """Return the cause with this fingerprint; None if no dead letter of it waits. Three queries."""
    found = _groups(DeadLetter.objects.waiting().filter(fingerprint=fingerprint))
    return found[0] if found else None


def parked(fingerprint: str | None = None) -> list[ParkedGroup]:
    """Return what staff have parked, the first to come back first; one query."""
    letters = DeadLetter.objects.parked()
    if fingerprint is not None:
        letters = letters.filter(fingerprint=fingerprint)
    rows = (
        letters.order_by()
        .values("fingerprint", "parked_until", "note")
        .annotate(count=Count("*"))
        .annotate(any_code=_of_one("code"), any_reason=_of_one("reason"))
        .order_by("parked_until", "fingerprint")[:MAX_GROUPS]
    )
    return [
        ParkedGroup(
            fingerprint=row["fingerprint"],
            code=row["any_code"],
            reason=row["any_reason"],
            count=row["count"],
            until=row["parked_until"],
            note=row["note"],
        )
        for row in rows
    ]


def _groups(letters: DeadLetterQuerySet) -> list[Group]:
    is_recent = Q(collected_at__gte=Now() - RECENT)
    rows = list(
        letters.order_by()
        .values("fingerprint")
        .annotate(
            # Count rows and not the key, because no index holds the key beside the other columns.
            count=Count("*"),
            first_at=Min("collected_at"),
            last_at=Max("collected_at"),
            oldest_at=Min(Coalesce("sent_at", "collected_at")),
            recent=Count("collected_at", filter=is_recent),
            before=Count(
                "collected_at", filter=~is_recent & Q(collected_at__gte=Now() - 2 * RECENT)
            ),
            customers=Count("customer", filter=Q(customer__gt=""), distinct=True),
            silent=Count("collected_at", filter=Q(customer="")),
        )
        .annotate(any_code=_of_one("code"), any_reason=_of_one("reason"))
        .order_by("-recent", "-count", "fingerprint")[:MAX_GROUPS]
    )
    money = _money(letters, [row["fingerprint"] for row in rows])
    underway = _underway()
    return [
        _group(
            row,
            money=money.get(row["fingerprint"], ()),
            underway=underway.get(row["fingerprint"], 0),
        )
        for row in rows
    ]


def _of_one(column: str) -> Subquery:
    """Read a column of any open dead letter with the same fingerprint: they all have the same cause."""
    same = DeadLetter.objects.open().filter(fingerprint=OuterRef("fingerprint")).order_by()
    return Subquery(same.values(column)[:1])


def _group(row: Mapping[str, Any], *, money: Sequence[tuple[int, str]], underway: int) -> Group:
    return Group(
        code=row["any_code"],
        reason=row["any_reason"],
        money=money,
        underway=underway,
        **{name: value for name, value in row.items() if not name.startswith("any_")},
    )


def _money(
    letters: DeadLetterQuerySet, fingerprints: Collection[str]
) -> dict[str, list[tuple[int, str]]]:
    """Sum up the cents in each currency for each fingerprint, the largest sum first."""
    rows = (
        letters.filter(fingerprint__in=fingerprints, amount_cents__isnull=False)
        .order_by()
        .values("fingerprint", "currency")
        # A producer may send any amount, and SQLite fails when a sum of integers overflows: add up floats.
        .annotate(cents=Sum(Cast(F("amount_cents"), FloatField())))
        .order_by("-cents")
    )
    money: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        money.setdefault(row["fingerprint"], []).append((int(row["cents"]), row["currency"]))
    return money


def _underway() -> dict[str, int]:
    """Count the dead letters of each fingerprint that wait for their turn in a redrive."""
    items = RedriveItem.objects.filter(
        redrive__ended_at=None,
        outcome=RedriveItem.Outcome.WAITING,
        letter__state=DeadLetter.State.OPEN,
    )
    rows = items.order_by().values_list("letter__fingerprint").annotate(Count("pk"))
    return dict(rows)
