"""Cut a Handlebars template into tokens, by the rules of handlebars.js 4.7 (``src/handlebars.l``)."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

# What JavaScript takes for white space in a regular expression.
WHITE = "\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
# The same, for ``str.strip()``, which takes linear time where a search for ``[…]+\\Z`` takes quadratic time.
SPACES = "".join(char for char in map(chr, range(0x10000)) if re.match(f"[{WHITE}]", char))
_NAME = rf"[^{WHITE}!\"#%-,./;->@\[-\^`{{-~]+"
_NAME_ENDS = rf"(?=[=~}}{WHITE}/.)|])"
_LITERAL_ENDS = rf"(?=[~}}{WHITE})])"

# The first rule that fits counts.
_RULES = {
    "(": r"\(",
    ")": r"\)",
    "open raw": r"\{\{\{\{",
    "close raw": r"\}\}\}\}",
    "open partial": r"\{\{~?>",
    "open partial block": r"\{\{~?#>",
    "open block": r"\{\{~?#\*?",
    "open end": r"\{\{~?/",
    "else": rf"\{{\{{~?(?:\^|[{WHITE}]*else)[{WHITE}]*~?\}}\}}",
    "open inverse": r"\{\{~?\^",
    "open else": rf"\{{\{{~?[{WHITE}]*else\b",
    "open unescaped": r"\{\{~?\{",
    "open": r"\{\{~?&",
    "long comment": r"\{\{~?!--[\s\S]*?--~?\}\}",
    "unclosed comment": r"\{\{~?!--",
    "comment": r"\{\{~?![\s\S]*?\}\}",
    "open any": r"\{\{~?\*?",
    "=": "=",
    "up": r"\.\.",
    "here": rf"\.{_NAME_ENDS}",
    "separator": "[/.]",
    "white": f"[{WHITE}]+",
    "close unescaped": r"\}~?\}\}",
    "close": r"~?\}\}",
    "text": r""""(?:\\"|[^"])*"|'(?:\\'|[^'])*'""",
    "@": "@",
    "word": rf"(?:true|false|undefined|null){_LITERAL_ENDS}",
    "number": rf"-?[0-9]+(?:\.[0-9]+)?{_LITERAL_ENDS}",
    "open names": rf"as[{WHITE}]+\|",
    "|": r"\|",
    "name": rf"{_NAME}{_NAME_ENDS}",
    "segment": r"\[(?:\\\]|[^\]])*\]",
}
_KINDS = list(_RULES)
_in_tag = re.compile("|".join(f"({rule})" for rule in _RULES.values())).match
_next_tag = re.compile(r"\\{0,2}\{\{").search
_raw_end = re.compile(rf"\{{\{{\{{\{{/({_NAME})\}}\}}\}}\}}").match
# Several rules make tokens of one kind.
_SAME = {
    "long comment": "comment",
    "open any": "open",
    "up": "name",
    "here": "name",
    "segment": "name",
}
_ENDS_TAG = {"close", "close unescaped", "else", "comment", "long comment"}


class Token(NamedTuple):
    """A piece of a template: its kind, its characters, and where it begins."""

    kind: str
    text: str
    at: int


class Unreadable(ValueError):
    """No token begins at this place of the template."""

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(problem)
        self.at = at


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of a template, and one of kind ``end``; raises Unreadable."""
    at = 0
    while at < len(source):
        begins = source.find("{{", at)
        if begins < 0:
            yield Token("content", source[at:], at)
            break
        text = source[at:begins]
        is_escaped = text.endswith("\\") and not text.endswith("\\\\")
        if text.endswith("\\"):
            text = text[:-1]
        if text:
            yield Token("content", text, at)
        if is_escaped:
            found = _next_tag(source, begins + 2)
            at = found.start() if found else len(source)
            yield Token("content", source[begins:at], begins)
        else:
            at = yield from _tag(source, begins)
    yield Token("end", "", len(source))


def _tag(source: str, at: int) -> Generator[Token, None, int]:
    """Yield the tokens of one tag; returns where it ends."""
    while True:
        found = _in_tag(source, at)
        if found is None:
            problem = (
                f"{source[at]!r} is not expected here"
                if at < len(source)
                else "a tag is never closed"
            )
            raise Unreadable(problem, at)
        kind = _KINDS[(found.lastindex or 0) - 1]
        if kind == "unclosed comment":
            raise Unreadable("a comment is never closed", at)
        if kind != "white":
            yield Token(_SAME.get(kind, kind), found[0], at)
        at = found.end()
        if kind in _ENDS_TAG:
            return at
        if kind == "close raw":
            return (yield from _raw(source, at))


def _raw(source: str, at: int) -> Generator[Token, None, int]:
    """Yield the text of a raw block, in which raw blocks may be nested, and its end; returns where that is."""
    begin, nested = at, 0
    while True:
        found = source.find("{{{{", at)
        if found < 0:
            raise Unreadable("a raw block is never closed", begin)
        end = _raw_end(source, found)
        if end is None and source.startswith("/", found + 4):
            raise Unreadable("'{{{{/' is not expected here", found)
        if end and not nested:
            if begin < found:
                yield Token("content", source[begin:found], begin)
            yield Token("raw end", end[1], found)
            return end.end()
        nested += -1 if end else 1
        at = end.end() if end else found + 4
