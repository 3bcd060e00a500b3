"""Read DMARC records and find the one that holds for a domain, by RFC 9989 (which replaces RFC 7489).

Ours and not a library's: the walk up the tree is a dozen lines, and must use our resolver and its limits of time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# RFC 9989, 4.10: the most queries of one walk.
MOST_QUERIES = 8
# The version is the only text in which case counts.
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_TAG = re.compile(r"([A-Za-z]+)[ \t]*=[ \t]*([\x20-\x3a\x3c-\x7e]*)")
_POLICIES = ("none", "quarantine", "reject")
_ALLOWED: Mapping[str, Sequence[str]] = {
    "p": _POLICIES,
    "sp": _POLICIES,
    "np": _POLICIES,
    "adkim": "rs",
    "aspf": "rs",
    "psd": "ynu",
    "t": "yn",
}
_REMOVED = ("pct", "rf", "ri")

# Gives the texts at a name, or None if DNS did not answer.
Ask = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Dmarc:
    """One record; ``tags`` are by lower-case name, ``wrong`` names those with a value that there is not."""

    text: str
    tags: Mapping[str, str]
    wrong: Sequence[str] = ()

    @property
    def psd(self) -> str:
        """``y`` for the record of a public suffix, ``n`` for that of an organization, else ``u``."""
        return "u" if "psd" in self.wrong else self.tags.get("psd", "u")

    @property
    def problem(self) -> str:
        """What keeps its policy from being applied; empty if nothing does."""
        missing = "" if "p" in self.tags else "p"
        bad = ", ".join(name for name in ("p", "sp", "np") if name in self.wrong) or missing
        if not bad:
            return ""
        as_none = "take it for p=none" if self._has_report else "ignore the record"
        return f"{bad} must be none, quarantine or reject. Receivers {as_none}."

    @property
    def notes(self) -> list[str]:
        """What else staff should know."""
        found = []
        if removed := [name for name in _REMOVED if name in self.tags]:
            found.append(f"RFC 9989 has removed {', '.join(removed)}: receivers ignore it.")
        if self.tags.get("t") == "y":
            found.append("t=y: a test; receivers apply a policy one step milder.")
        if self.psd == "y":
            found.append("psd=y is for public suffixes such as co.uk only.")
        if self.tags.get("aspf") == "s":
            found.append("aspf=s: SPF does not align with a MAIL FROM domain below; DKIM must.")
        if wrong := [name for name in self.wrong if name not in ("p", "sp", "np")]:
            found.append(f"Receivers ignore the value of {', '.join(wrong)}.")
        return found

    @property
    def _has_report(self) -> bool:
        return self.tags.get("rua", "").strip().lower().startswith("mailto:")


def of(texts: Sequence[str]) -> list[Dmarc]:
    """Return the DMARC records among texts: those that begin with the version."""
    return [_parsed(text) for text in texts if _VERSION.match(text)]


def walk(domain: str, ask: Ask) -> tuple[str, Dmarc | None, bool]:
    """Find the record that holds for a domain without one of its own (4.10).

    Returns the domain that has it, the record, and whether DNS answered all questions.
    """
    found: list[tuple[str, Dmarc]] = []
    for name in _above(domain):
        texts = ask(f"_dmarc.{name}")
        if texts is None:
            return "", None, False
        # Of two records neither counts.
        if len(records := of(texts)) == 1:
            found.append((name, records[0]))
            if records[0].psd in ("y", "n"):
                break
    if len(found) > 1 and found[-1][1].psd == "y":
        suffix, below = found[-1][0], found[-2][0]
        # The organization is one label below the public suffix.
        if below.count(".") == suffix.count(".") + 1:
            return *found[-2], True
    return (*found[-1], True) if found else ("", None, True)


def _above(domain: str) -> list[str]:
    """Return the domains to ask after the domain itself, from the longest."""
    labels = domain.split(".")
    # Of a very long name only the last seven labels are asked, after the name itself.
    first = max(1, len(labels) - (MOST_QUERIES - 1))
    return [".".join(labels[at:]) for at in range(first, len(labels))]


def _parsed(text: str) -> Dmarc:
    tags: dict[str, str] = {}
    wrong: list[str] = []
    for part in text.split(";")[1:]:
        if not (found := _TAG.fullmatch(part.strip(" \t"))):
            continue
        name, value = found[1].lower(), found[2].strip(" \t")
        if name in tags:
            wrong.append(name)
        allowed = _ALLOWED.get(name)
        tags[name] = value.lower() if allowed else value
        if allowed and tags[name] not in list(allowed):
            wrong.append(name)
    return Dmarc(text, tags, wrong)
