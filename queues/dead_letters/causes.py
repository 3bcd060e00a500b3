"""Sum up open dead letters by cause: how many, since when, how many customers, how much money, and the trend.

The number of queries does not grow with the number of dead letters, and each query reads open ones only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, F, FloatField, Max, Min, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import Cast, Coalesce, Now, RowNumber
from django.urls import reverse
from django.utils import timezone

from queues import masking, registry
from queues.answers import Advice, Cause
from queues.dead_letters.advice import advise, title
from queues.models import CauseNote, DeadLetter, DeadLetterQuerySet, RedriveItem

# With more causes than this at once, there is one cause behind them all: see the log.
MAX_GROUPS = 50
RECENT = timedelta(minutes=15)
# The address of dead letters without a cause.
NO_FINGERPRINT = "none"
# A card names so many domains of recipients.
MOST_DOMAINS = 6
# A burst is over when nothing has come for so long.
BURST = timedelta(minutes=5)
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_KNOWN = Q(currency__in=list(_SIGNS))
_ACTS = ("fix", "redrive", "edit", "park", "discard")
_ADDRESS = re.compile(r"[^\s,:;<>]+@[^\s,:;<>]+")


@dataclass(frozen=True)
class Domain:
    """The waiting dead letters of one cause to recipients at one domain; an empty name stands for unknown ones.

    ``is_fixed``: what the advice says was done for this domain.
    """

    name: str
    count: int
    is_fixed: bool = False


@dataclass(frozen=True)
class Group:
    """The waiting dead letters of one cause. ``oldest_at`` is when the oldest of them was first sent.

    ``recent`` were collected in the last 15 minutes, ``before`` in the 15 minutes before those. ``silent`` ones do not
    name a customer and are not counted in ``customers``. ``underway`` are in a running redrive.
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
    domains: Sequence[Domain]
    # One of them, in any order: an act on a whole list needs the key of one selected row.
    any_key: UUID
    note: CauseNote | None = None
    # The money of a single dead letter tells about its customer.
    is_masked: bool = False

    @cached_property
    def advice(self) -> Advice:
        """The meaning of the cause, and what staff should do about it."""
        is_of_one = self.customers == 1 and not self.silent
        return advise(Cause(self.code, self.reason, is_of_one))

    @property
    def title(self) -> str:
        """One line that tells this cause from the others."""
        return title(Cause(self.code, self.reason))

    @property
    def example(self) -> str:
        """The failure in its own words, empty if the title says as much; of several recipients it names none."""
        reason = self.reason if self.count == 1 else _ADDRESS.sub("…", self.reason)
        if self.code == "UnknownType" or reason in self.title:
            return ""
        return f"{self.code}: {reason}".strip(": ")

    @property
    def note_text(self) -> str:
        """What somebody knows about the cause."""
        text = self.note.text if self.note else ""
        return masking.addresses(text) if self.is_masked else text

    @property
    def trend(self) -> str:
        """The trend of new dead letters: ``quiet``, ``growing`` or ``slowing``."""
        if not self.recent:
            return "quiet"
        is_over = timezone.now() - self.last_at > BURST
        return "slowing" if is_over or self.recent < self.before else "growing"

    @property
    def is_fresh(self) -> bool:
        """True if the last one was collected within the last minute."""
        return timezone.now() - self.last_at < timedelta(minutes=1)

    @property
    def stakes(self) -> list[str]:
        """What the cause costs: emails, customers and money, as far as the dead letters say."""
        is_known = bool(self.money) or self.silent < self.count
        told = [_counted(self.count, "email" if is_known else "message")]
        if self.customers:
            told.append(_counted(self.customers, "customer"))
        told += self._amounts()
        if not is_known:
            told.append("customers and money unknown")
        elif self.silent:
            told.append(f"{self.silent:,} without a known customer")
        return told

    @property
    def variants(self) -> dict[str, str]:
        """The look of each act's button: the one that helps is the primary one."""
        variants = dict.fromkeys(_ACTS, "default") | {self.act: "primary"}
        # With a button for each domain, the page of all of them is the second choice.
        is_split = self.advice.by_domain and self.names_domains and self.count > 1
        return variants | {"domain": variants["fix"]} | ({"fix": "default"} if is_split else {})

    @property
    def act(self) -> str:
        """The act that helps now: once every domain is fixed, a redrive."""
        shown = sum(domain.count for domain in self.domains if domain.is_fixed)
        return "redrive" if self.advice.by_domain and shown == self.count else self.advice.act

    @property
    def fix_address(self) -> str:
        """The page that fixes the cause, with the way back to this one."""
        address = self.advice.address
        if not self.advice.by_domain:
            return address
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'next': self.address})}"

    @property
    def names_domains(self) -> bool:
        """True if the dead letters say where their emails go."""
        return any(domain.name for domain in self.domains)

    @property
    def more_domains(self) -> int:
        """The number of dead letters to domains that are not listed."""
        return self.count - sum(domain.count for domain in self.domains)

    def _amounts(self) -> list[str]:
        if not self.money:
            return []
        if self.is_masked:
            return [masking.MASK]
        return [
            " + ".join(amount(cents, currency, is_rounded=True) for cents, currency in self.money)
        ]

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
        domains = [replace(each, name=masking.domain(each.name)) for each in self.domains]
        reason = masking.addresses(self.reason)
        return replace(self, reason=reason, domains=domains, is_masked=True)


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
    def title(self) -> str:
        """One line that tells this cause from the others."""
        return title(Cause(self.code, self.reason))

    @property
    def address(self) -> str:
        """The URL of the cause's page."""
        return reverse("admin:queues_deadletter_group", args=[key_of(self.fingerprint)])

    def masked(self) -> ParkedGroup:
        """Return a copy without personal data."""
        addresses = masking.addresses
        return replace(self, reason=addresses(self.reason), note=addresses(self.note))


def amount(cents: int, currency: str, *, is_rounded: bool = False) -> str:
    """Write an amount of money for staff: ``$1,234.50``; rounded, it is ``$1,234`` from a thousand on."""
    units = cents / 100
    number = f"{round(units):,}" if is_rounded and units >= 1000 else f"{units:,.2f}"
    sign = _SIGNS.get(currency)
    return f"{sign}{number}" if sign else f"{currency} {number}"


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
            silent=Count("collected_at", filter=Q(customer="")),
            any_foreign=Count("currency", filter=~_KNOWN & Q(amount_cents__isnull=False)),
            **{f"any_{currency}": _cents(currency=currency) for currency in _SIGNS},
        )
        .annotate(any_code=_of_one("code"), any_reason=_of_one("reason"), any_pk=_of_one("pk"))
        .order_by("-recent", "-count", "fingerprint")[:MAX_GROUPS]
    )
    money = _money(letters, rows)
    customers = _customers(letters, [row["fingerprint"] for row in rows])
    domains = _domains(letters, [row["fingerprint"] for row in rows])
    underway = _underway()
    return [
        _group(
            row,
            money=money.get(row["fingerprint"], ()),
            customers=customers.get(row["fingerprint"], 0),
            underway=underway.get(row["fingerprint"], 0),
            domains=domains.get(row["fingerprint"], ()),
        )
        for row in rows
    ]


def _customers(letters: DeadLetterQuerySet, fingerprints: Collection[str]) -> dict[str, int]:
    """Count the customers of each fingerprint.

    This query is alone, because an index has the customers in order; beside other sums the database would sort them.
    """
    named = letters.filter(fingerprint__in=fingerprints, customer__gt="").order_by()
    rows = named.values_list("fingerprint").annotate(Count("customer", distinct=True))
    return dict(rows)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _of_one(column: str) -> Subquery:
    """Read a column of any open dead letter with the same fingerprint: they all have the same cause."""
    same = DeadLetter.objects.open().filter(fingerprint=OuterRef("fingerprint")).order_by()
    return Subquery(same.values(column)[:1])


def _group(row: Mapping[str, Any], **fields: Any) -> Group:
    return Group(
        code=row["any_code"],
        reason=row["any_reason"],
        any_key=row["any_pk"],
        **fields,
        **{name: value for name, value in row.items() if not name.startswith("any_")},
    )


def _cents(**only: str) -> Sum:
    """Sum up the cents, all or those of a currency; null if there are none."""
    # A producer may send any amount, and SQLite fails when a sum of integers overflows: add up floats.
    return Sum(Cast(F("amount_cents"), FloatField()), filter=Q(**only) if only else None)


def _money(
    letters: DeadLetterQuerySet, rows: Collection[Mapping[str, Any]]
) -> dict[str, list[tuple[int, str]]]:
    """Return the cents in each currency for each fingerprint, the largest sum first.

    The rows have the sums of the known currencies; only where there are others, a query more adds these up.
    """
    money = {
        row["fingerprint"]: [
            (int(row[f"any_{currency}"]), currency)
            for currency in _SIGNS
            if row[f"any_{currency}"] is not None
        ]
        for row in rows
    }
    if foreign := [row["fingerprint"] for row in rows if row["any_foreign"]]:
        found = letters.filter(~_KNOWN, fingerprint__in=foreign, amount_cents__isnull=False)
        sums = found.order_by().values("fingerprint", "currency").annotate(cents=_cents())
        for row in sums:
            money[row["fingerprint"]].append((int(row["cents"]), row["currency"]))
    return {fingerprint: sorted(sums, reverse=True) for fingerprint, sums in money.items()}


def _domains(letters: DeadLetterQuerySet, fingerprints: Collection[str]) -> dict[str, list[Domain]]:
    """Count the recipients' domains of each fingerprint, the most frequent first, at most MOST_DOMAINS of each."""
    rank = Window(
        RowNumber(),
        partition_by=F("fingerprint"),
        order_by=[F("count").desc(), F("domain").asc()],
    )
    rows = list(
        letters.filter(fingerprint__in=fingerprints)
        .order_by()
        .values("fingerprint", "domain")
        .annotate(count=Count("*"))
        .annotate(rank=rank)
        .filter(rank__lte=MOST_DOMAINS)
        .order_by("fingerprint", "rank")
    )
    fixed = _fixed({row["domain"] for row in rows} - {""})
    found: dict[str, list[Domain]] = {}
    for row in rows:
        name = row["domain"]
        found.setdefault(row["fingerprint"], []).append(Domain(name, row["count"], name in fixed))
    return found


def _fixed(names: Collection[str]) -> set[str]:
    checkers = registry.domain_checkers if names else ()
    return {name for check in checkers for name in check(names)}


def _underway() -> dict[str, int]:
    """Count the dead letters of each fingerprint that wait for their turn in a redrive."""
    items = RedriveItem.objects.filter(
        redrive__ended_at=None,
        outcome=RedriveItem.Outcome.WAITING,
        letter__state=DeadLetter.State.OPEN,
    )
    rows = items.order_by().values_list("letter__fingerprint").annotate(Count("pk"))
    return dict(rows)
