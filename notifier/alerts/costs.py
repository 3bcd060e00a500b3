"""Say what the dead letters of a cause cost: how many emails of which kind were not sent, to how many customers."""

from __future__ import annotations

from dataclasses import dataclass

from queues import registry
from queues.answers import Cause
from queues.dead_letters import causes
from queues.dead_letters.advice import advise, title
from queues.models import DeadLetter

# The emails that customers wait for, by the first part of their event's type.
_NOUNS = {
    "order.placed.": "confirmation",
    "transaction.posted.": "transaction alert",
    "customer.registered.": "verification email",
    "customer.link_requested.": "sign-in link",
    "email.returned.": "support alert",
}
# A subject has little room.
_BRIEFLY = {"the recipient is not verified": "address not verified"}
# So many of the newest dead letters say of which kind they are.
_SAMPLE = 100


@dataclass(frozen=True)
class Cost:
    """What the waiting dead letters of one cause cost; ``cents`` is the sum over all currencies, for sorting."""

    count: int
    customers: int
    money: str
    cents: int
    words: str
    what: str
    todo: str = ""

    @property
    def headline(self) -> str:
        """Say what the customers lack, and why: ``26 confirmations not sent ($7,412) – address not verified``."""
        said = f" ({self.money})" if self.money else ""
        return f"{self.what}{said} – {_brief(self.words)}"

    @property
    def who(self) -> str:
        """Say who waits: ``26 customers, $7,412``; empty if the dead letters name no customer."""
        if not self.customers:
            return ""
        noun = "customer waits" if self.customers == 1 else "customers wait"
        return f"{self.customers:,} {noun}" + (f", {self.money}" if self.money else "")


def of(fingerprint: str, *, count: int) -> Cost:
    """Return the cost of a cause; ``count`` is used if its dead letters have been dealt with meanwhile."""
    group = causes.one(fingerprint)
    if group is None:
        return Cost(count, 0, "", 0, _words(fingerprint), _what(count, ""))
    return Cost(
        group.count,
        group.customers,
        " + ".join(amount(cents, currency) for cents, currency in group.money),
        sum(cents for cents, _ in group.money),
        group.advice.words,
        _what(group.count, _kind(fingerprint)),
        group.advice.todo,
    )


def title_of(fingerprint: str) -> str:
    """Return the console's title of a cause, whatever the state of its dead letters."""
    found = _cause(fingerprint)
    return title(found) if found else "dead letters"


def _words(fingerprint: str) -> str:
    found = _cause(fingerprint)
    return advise(found).words if found else "dead letters"


def _cause(fingerprint: str) -> Cause | None:
    rows = DeadLetter.objects.filter(fingerprint=fingerprint).order_by()
    found = rows.values_list("code", "reason").first()
    return Cause(*found) if found else None


def amount(cents: int, currency: str) -> str:
    """Write an amount as the console rounds it, and as short as a subject needs: ``$7,412``, ``$5``."""
    return causes.amount(cents, currency, is_rounded=True).removesuffix(".00")


def _kind(fingerprint: str) -> str:
    """Return the type of event that all of the newest dead letters have, or '' if they differ."""
    newest = DeadLetter.objects.waiting().filter(fingerprint=fingerprint).order_by("-collected_at")
    found = set(newest.values_list("type", flat=True)[:_SAMPLE])
    return found.pop() if len(found) == 1 else ""


def _what(count: int, kind: str) -> str:
    if kind and not registry.handlers_of(kind):
        return f"{count:,} {_counted('message', count)} not handled"
    noun = next((noun for start, noun in _NOUNS.items() if kind.startswith(start)), "email")
    return f"{count:,} {_counted(noun, count)} not sent"


def _counted(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _brief(words: str) -> str:
    rest = words.partition(": ")[2] or words
    # SES stays SES.
    lowered = rest if rest[:2].isupper() else f"{rest[:1].lower()}{rest[1:]}"
    return _BRIEFLY.get(rest, lowered)
