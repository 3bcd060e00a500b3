"""Open dead letters by what makes their failures the same: how many, since when, whom they touch, how it goes on.

The number of queries is the same whatever the number of letters, and each reads open letters only.
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

# More causes at once than that are one: see the log.
MAX_GROUPS = 50
RECENT = timedelta(minutes=15)
# Letters without a cause have an address all the same.
NO_FINGERPRINT = "none"


@dataclass(frozen=True)
class Group:
    """The waiting letters of one fingerprint. ``oldest_at``: since when the first of them is on its way.

    ``recent`` were collected in the last quarter of an hour, ``before`` in the one before. ``silent`` letters do not
    say whom they touch, and are in neither ``customers`` nor ``money``. ``underway`` are in a redrive that runs.
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
    # One letter's money is its customer's.
    is_masked: bool = False

    @cached_property
    def advice(self) -> Advice:
        """What the cause means, and what to do about it."""
        is_of_one = self.customers == 1 and not self.silent
        return advise(Cause(self.code, self.reason, is_of_one))

    @property
    def trend(self) -> str:
        """Whether it goes on."""
        if not self.recent:
            return "quiet"
        return "growing" if self.recent >= self.before else "slowing"

    @property
    def customers_touched(self) -> str:
        """How many, as far as letters say."""
        return self._as_far_as_known(f"{self.customers:,}" if self.customers else "")

    @property
    def at_stake(self) -> str:
        """The money by currency, as far as letters say."""
        if self.is_masked and self.money:
            return self._as_far_as_known(masking.MASK)
        return self._as_far_as_known(
            " + ".join(f"{currency} {cents / 100:,.2f}" for cents, currency in self.money)
        )

    def _as_far_as_known(self, known: str) -> str:
        if not self.silent:
            return known or "none"
        if self.silent == self.count:
            return "not known: the letters do not say"
        letters = "one letter does" if self.silent == 1 else f"{self.silent:,} letters do"
        return f"{known or 'none'}, and {letters} not say"

    @property
    def key(self) -> str:
        """What addresses call it."""
        return key_of(self.fingerprint)

    @property
    def address(self) -> str:
        """Its page."""
        return reverse("admin:queues_deadletter_group", args=[self.key])

    def masked(self) -> Group:
        """Without personal data."""
        return replace(self, reason=masking.addresses(self.reason), is_masked=True)


@dataclass(frozen=True)
class ParkedGroup:
    """Letters of one fingerprint that were parked together."""

    fingerprint: str
    code: str
    reason: str
    count: int
    until: datetime | None
    note: str

    @property
    def words(self) -> str:
        """What the cause means."""
        return advise(Cause(self.code, self.reason)).words

    @property
    def address(self) -> str:
        """The group's page."""
        return reverse("admin:queues_deadletter_group", args=[key_of(self.fingerprint)])

    def masked(self) -> ParkedGroup:
        """Without personal data."""
        addresses = masking.addresses
        return replace(self, reason=addresses(self.reason), note=addresses(self.note))


def key_of(fingerprint: str) -> str:
    """A fingerprint in an address."""
    return fingerprint or NO_FINGERPRINT


def fingerprint_of(key: str) -> str:
    """And back."""
    return "" if key == NO_FINGERPRINT else key


def waiting() -> list[Group]:
    """The groups that wait for a person, the fastest growing and then the largest first; three queries."""
    return _groups(DeadLetter.objects.waiting())


def one(fingerprint: str) -> Group | None:
    """The group of this fingerprint; None if no letter of it waits. Three queries."""
    found = _groups(DeadLetter.objects.waiting().filter(fingerprint=fingerprint))
    return found[0] if found else None


def parked(fingerprint: str | None = None) -> list[ParkedGroup]:
    """What somebody has put off, by when it comes back; one query."""
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
            # Not of the key, which is in no index with the rest.
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
    """That of any open letter of the group: all have the same cause."""
    same = DeadLetter.objects.open().filter(fingerprint=OuterRef("fingerprint")).order_by()
    return Subquery(same.values(column)[:1])


def _group(row: Mapping[str, Any], *, money: Sequence[tuple[int, str]], underway: int) -> Group:
    return Group(
        code=row["any_code"],
        reason=row["any_reason"],
        money=money,
        underway=underway,
        **{
            name: row[name]
            for name in (
                "fingerprint",
                "count",
                "first_at",
                "last_at",
                "oldest_at",
                "recent",
                "before",
                "customers",
                "silent",
            )
        },
    )


def _money(
    letters: DeadLetterQuerySet, fingerprints: Collection[str]
) -> dict[str, list[tuple[int, str]]]:
    """Cents and currency of each, the largest first."""
    rows = (
        letters.filter(fingerprint__in=fingerprints, amount_cents__isnull=False)
        .order_by()
        .values("fingerprint", "currency")
        # Whoever may write to a queue may name any amount, and SQLite fails where whole numbers add up to too much.
        .annotate(cents=Sum(Cast(F("amount_cents"), FloatField())))
        .order_by("-cents")
    )
    money: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        money.setdefault(row["fingerprint"], []).append((int(row["cents"]), row["currency"]))
    return money


def _underway() -> dict[str, int]:
    """How many of each wait for their turn in a redrive."""
    items = RedriveItem.objects.filter(
        redrive__ended_at=None,
        outcome=RedriveItem.Outcome.WAITING,
        letter__state=DeadLetter.State.OPEN,
    )
    rows = items.order_by().values_list("letter__fingerprint").annotate(Count("pk"))
    return dict(rows)
