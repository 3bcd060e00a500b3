"""Find what a style sheet must not have: addresses, imports and scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from string import ascii_lowercase, ascii_uppercase

from emails.checking.addresses import VALUE, refusal

# As much of a style sheet as the longest forbidden word, so that branches cannot cut one in two.
KEPT = 40
_FORBIDDEN = {
    "@import": "a style sheet cannot import another",
    "expression(": "a style sheet cannot run code",
    "-moz-binding": "a style sheet cannot run code",
    "behavior:": "a style sheet cannot run code",
    "javascript:": "a style sheet cannot run code",
    "\\": "a backslash can hide what a style sheet says",
}
# Of ASCII alone: no text gets longer.
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_url = re.compile(r"url\(([^)]*)(\)?)", re.IGNORECASE)

Report = Callable[[int, str], None]


def scan(held: str, text: str, hosts: Set[str], report: Report) -> str:
    """Report what is forbidden, by where it begins; returns what the next text must be read with."""
    whole, begin = held + text, len(held)

    def tell(at: int, why: str) -> None:
        report(max(0, at - begin), why)

    lower = whole.translate(LOWER)
    for word, why in _FORBIDDEN.items():
        at = lower.find(word, max(0, begin - len(word) + 1))
        if at >= 0:
            tell(at, why)
    for found in _url.finditer(whole):
        if found.end() > begin:
            tell_address(found, hosts, tell)
    rest = _url.sub(lambda found: " " * len(found[0]), whole)
    slashes = rest.find("//", max(0, begin - 1))
    if slashes >= 0:
        tell(slashes, "an address in a style sheet stands in url(…)")
    return whole[-KEPT:]


def tell_address(found: re.Match[str], hosts: Set[str], tell: Report) -> None:
    """Report a ``url(…)`` that leads to a foreign host or is not written in one piece."""
    if not found[2] or VALUE in found[1]:
        tell(found.start(), "the address of url(…) must be written out in one piece")
    elif why := refusal(found[1].strip().strip("'\"").strip(), hosts):
        tell(found.start(), why)
