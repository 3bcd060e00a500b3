"""Say whether an SPF record lets SES send, as RFC 7208 reads it.

Ours and not a library's: checkdmarc 6 brings fourteen more packages, an HTTP client among them, and says whether a
record is valid, not whether SES passes by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

SES = "amazonses.com"
# RFC 7208, 4.6.4.
MOST_LOOKUPS = 10
# Of the mechanisms and modifiers, those that cost a lookup.
_ASKING = ("include", "a", "mx", "ptr", "exists", "redirect")
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9._-]*)=(?P<value>[!-~]*)", re.IGNORECASE)
_ADDRESS = r"[0-9a-f.:]+(/[0-9]{1,3})?"
_DOMAIN = r"[!-.0-~]+"
_CIDR = r"(/[0-9]{1,2})?(//[0-9]{1,3})?"
_MECHANISM = re.compile(
    rf"(?P<sign>[-+~?]?)(?P<name>all|(?:include|exists):(?P<target>{_DOMAIN})|ptr(?::{_DOMAIN})?"
    rf"|(?:a|mx)(?::{_DOMAIN})?{_CIDR}|ip[46]:{_ADDRESS})",
    re.IGNORECASE,
)

# Gives the texts at a name, or None if DNS did not answer.
Ask = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Term:
    """One mechanism or modifier; ``sign`` is ``+`` for those that let pass."""

    name: str
    sign: str = "+"
    target: str = ""


@dataclass
class Findings:
    """Holds what following a record found: signs before SES, errors that make it void, domains without an answer."""

    signs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lookups: int = 0

    @property
    def passes(self) -> bool:
        """True if the first term about SES lets it pass."""
        return self.signs[:1] == ["+"]


def of(texts: Sequence[str]) -> list[str]:
    """Return the SPF records among texts; only one is allowed (4.5)."""
    return [text for text in texts if text.split(" ")[0].lower() == "v=spf1"]


def follow(record: str, ask: Ask | None = None) -> Findings:
    """Follow a record and what it includes, at most ten lookups; without ``ask`` only the record itself."""
    found = Findings()
    _follow(record, ask, found, sign="+", seen=())
    return found


def terms(record: str) -> Iterator[Term]:
    """Yield the terms that take effect, in their order; raises ValueError for a record that is void (4.6)."""
    found = [_term(text) for text in record.split(" ")[1:] if text]
    for name in ("redirect", "exp"):
        if sum(term.name == name for term in found) > 1:
            raise ValueError(f"{name}= stands twice")
    mechanisms = [term for term in found if term.name not in ("redirect", "exp", "other")]
    for term in mechanisms:
        yield term
        # 5.1: what comes after is not looked at, redirect= included.
        if term.name == "all":
            return
    yield from (term for term in found if term.name == "redirect")


def _term(text: str) -> Term:
    if parts := _MECHANISM.fullmatch(text):
        name = re.split("[:/]", parts["name"])[0].lower()
        return Term(name, parts["sign"] or "+", (parts["target"] or "").lower().rstrip("."))
    if parts := _MODIFIER.fullmatch(text):
        name = parts["name"].lower()
        is_known = name in ("redirect", "exp")
        if is_known and not parts["value"]:
            raise ValueError(f"{name}= names no domain")
        return Term(name if is_known else "other", target=parts["value"].lower().rstrip("."))
    raise ValueError(f"“{text[:60]}” is no term of SPF")


def _follow(
    record: str, ask: Ask | None, found: Findings, *, sign: str, seen: Sequence[str]
) -> None:
    try:
        effective = list(terms(record))
    except ValueError as exc:
        found.errors.append(f"{exc}, so that receivers ignore the whole record")
        return
    for term in effective:
        found.lookups += term.name in _ASKING
        if found.lookups > MOST_LOOKUPS:
            found.errors.append(f"it needs more than {MOST_LOOKUPS} DNS lookups")
            return
        if term.name == "ptr":
            found.warnings.append("RFC 7208 advises against ptr.")
        if term.name == "all" and term.sign == "+" and not seen:
            found.warnings.append("+all lets everybody send for you.")
        if term.name not in ("include", "redirect"):
            continue
        # A redirect is the record itself; what an included record does not let pass is no match (5.2).
        inner = term.sign if sign == "+" and term.name == "include" else sign
        if term.target == SES:
            found.signs.append(inner)
        elif ask is not None and "%" not in term.target:
            _ask(term.target, ask, found, sign=inner, seen=seen)


def _ask(target: str, ask: Ask, found: Findings, *, sign: str, seen: Sequence[str]) -> None:
    if target in seen:
        found.errors.append(f"{target} includes itself")
        return
    texts = ask(target)
    if texts is None:
        found.silent.append(target)
        return
    records = of(texts)
    if len(records) != 1:
        found.errors.append(f"{target} has {len(records) or 'no'} SPF records")
        return
    inner = Findings(lookups=found.lookups)
    _follow(records[0], ask, inner, sign="+", seen=(*seen, target))
    found.lookups = inner.lookups
    # Only a pass inside an included record is a match.
    found.signs += [sign] if inner.passes else []
    found.errors += inner.errors
    found.silent += inner.silent
    found.warnings += inner.warnings
