"""Find the addresses in running text: mail programs make links of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Set

from emails.checking.addresses import VALUE, refusal
from emails.checking.shapes import Shape

_address = re.compile(r"(?:https?://|www\.)[^\s<>\"'`()\[\]{}]*", re.IGNORECASE)
_BEGINNINGS = ("https://", "http://", "www.")
_ENDS_SENTENCE = ".,;:!?…"
# No address is longer (see ``queues.events.links``).
_LONGEST = 2000
# More beginnings of addresses at once are not followed.
_MOST_STATES = 64

Report = Callable[[int, str], None]
PlainStates = frozenset[tuple[str, bool]]
BEGINNING: PlainStates = frozenset({("", False)})


def scan(held: str, text: str, hosts: Set[str], report: Report) -> str:
    """Report foreign addresses in a text, by where they begin; returns the beginning of one that may go on.

    ``held`` is what the text before has left open.
    """
    whole = held + text
    for found in _address.finditer(whole):
        if found.end() == len(whole):
            return found[0][:_LONGEST]
        if why := _refusal(found[0], hosts):
            report(max(0, found.start() - len(held)), why)
    lower = whole[-8:].lower()
    return next(
        (
            whole[-length:]
            for length in range(min(7, len(lower)), 0, -1)
            if any(each.startswith(lower[-length:]) for each in _BEGINNINGS)
        ),
        "",
    )


def end(held: str, length: int, hosts: Set[str], report: Report) -> None:
    """Report an address that ends with its text, whose last piece has this length."""
    if _address.match(held) and (why := _refusal(held, hosts)):
        report(max(0, length - len(held)), why)


def with_value(held: str, report: Report) -> str:
    """Return what is open after a value: an address may go on with one only after its host."""
    if not _address.match(held):
        return ""
    rest = held.partition("://")[2] or held
    if not any(sign in rest for sign in "/?#"):
        report(0, "a value may follow an address only after its host and a slash")
        return ""
    return held + VALUE


def _refusal(address: str, hosts: Set[str]) -> str:
    address = address.rstrip(_ENDS_SENTENCE)
    if not address.lower().startswith("http"):
        address = f"https://{address}"
    return refusal(address, hosts)


class PlainText:
    """Reads what a file prints that is no HTML: the text part, or the subject, which is one line.

    It has the methods of ``emails.checking.markup.Markup``. A state is what ``scan`` holds, and whether a subject's
    line has ended.
    """

    def __init__(
        self, hosts: Set[str], report: Callable[[int, str, str, str], None], *, is_line: bool
    ) -> None:
        self._hosts = hosts
        self._report = report
        self._is_line = is_line
        self._last = 0

    def text(self, states: PlainStates, text: str) -> PlainStates:
        """Return the states after a text of the template."""
        self._last = len(text)
        is_over = self._is_line and any(is_over for _, is_over in states)
        if self._is_line:
            is_over = self._check_line(text, is_over)
        held = {scan(held, text, self._hosts, self._tell) for held, _ in states}
        if len(held) > _MOST_STATES:
            held = {""}
        return frozenset((each, is_over) for each in held)

    def value(self, states: PlainStates, shape: Shape, name: str) -> PlainStates:
        """Return the states after a printed value."""
        if shape.literal is not None:
            return self.text(states, shape.literal)
        if any(is_over for _, is_over in states):
            self._report(0, "line", "a subject is one line", "Take the line end away.")
        return frozenset((with_value(held, self._tell), is_over) for held, is_over in states)

    def end(self, states: PlainStates) -> None:
        """Report an address that ends with the file."""
        for held, _ in states:
            end(held, self._last, self._hosts, self._tell)

    def _check_line(self, text: str, is_over: bool) -> bool:
        for at, char in enumerate(text):
            if is_over and not char.isspace():
                self._report(at, "line", "a subject is one line", "Take the line end away.")
                return False
            # A line end at the end of the file is how editors write files.
            is_over = is_over or char in "\r\n"
        return is_over

    def _tell(self, at: int, why: str) -> None:
        self._report(at, "link", why, "It must lead to this site or to one of LINK_HOSTS.")
