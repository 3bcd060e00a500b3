"""Treat one value by the rules of Handlebars: its text, its truth, and the step to a value inside it.

These are the rules of handlebars.js for JSON values, as implemented by the library that the tests compare with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dotpromptz_handlebars import StrictModeError

_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#x27;",
        "`": "&#x60;",
        "=": "&#x3D;",
    }
)
# Most texts have nothing to escape, and this check is ten times as fast as escaping.
_has_escapes = re.compile("[&<>\"'`=]").search


def escape(text: str) -> str:
    """Escape a text for HTML; the result may also stand in an attribute."""
    return text.translate(_ESCAPES) if _has_escapes(text) else text


def text_of(value: object) -> str:
    """Return the text that a template prints for a value; null prints nothing."""
    if type(value) is str:
        return value
    return _text(data(value))


def data(value: Any) -> Any:
    """Return the value; raises ValueError for a function, which is not data and which we never call."""
    if callable(value):
        raise ValueError("the input contains a function; register it as a helper")
    return value


def is_list(value: object) -> bool:
    """Return True if a template can repeat over the items of this value; a text is no list."""
    return type(value) is list or (
        isinstance(value, Sequence) and not isinstance(value, str | bytes)
    )


def is_empty(value: Any) -> bool:
    """Return True if ``#with`` has nothing to step into: an empty list counts as nothing, an empty object does not."""
    if value is None or value is False or value == "":
        return True
    return is_list(value) and len(value) == 0


def is_true(value: Any, *, is_zero_true: bool = False) -> bool:
    """Return what ``#if`` decides for a value; an empty object is true."""
    if isinstance(value, bool):
        return value
    if value == 0 and not is_zero_true:
        return False
    return not is_empty(value)


def step(current: Any, name: str, *, path: str | None) -> Any:
    """Return the value inside ``current`` with this name or index.

    If there is none, returns None, or raises StrictModeError if ``path``, the name to blame, is given.
    """
    if isinstance(current, Mapping) and name in current:
        return current[name]
    if name.isdigit() and is_list(current):
        index = int(name)
        if 0 <= index < len(current):
            return current[index]
    if path is not None:
        raise StrictModeError(path)
    return None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if is_list(value):
        return ",".join(map(_text, value))  # type: ignore[call-overload]  # a sequence
    return "[object Object]" if isinstance(value, Mapping) else str(value)


MAX_MARKS = 500


# The marks use characters from Unicode's private use area, so that HTML parsers leave them alone.
MARK = re.compile("\ue000([0-9]+)\ue001")


_MARKS = [f"\ue000{number}\ue001" for number in range(MAX_MARKS)]


class NoOutline(Exception):
    """A template has no outline for this data, for example because the data brings HTML. Fill the template instead."""


@dataclass(frozen=True)
class Outline:
    """A template's output without its values: a text with a numbered mark in the place of each value.

    ``values`` are the values for the marks, not yet escaped. The text between the marks comes from the template: all
    emails of one shape (the same number of lines, the same branches) have the same outline, so expensive work is done
    once for all of them.
    """

    text: str
    values: list[str]


def mark(value: str, values: list[str]) -> str:
    """Add a value to the others and return its mark; raises NoOutline if there are too many."""
    if len(values) == MAX_MARKS:
        raise NoOutline
    values.append(value)
    return _MARKS[len(values) - 1]
