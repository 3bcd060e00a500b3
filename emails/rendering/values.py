"""What Handlebars makes of one value: its text, its truth, the step from it to what it holds.

These are the rules of handlebars.js for what JSON can say, as the library has them that the tests compare with.
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
# Most texts have nothing to escape, and to look is ten times as fast.
_has_escapes = re.compile("[&<>\"'`=]").search


def escape(text: str) -> str:
    """The text as it stands in HTML, in an attribute as well."""
    return text.translate(_ESCAPES) if _has_escapes(text) else text


def text_of(value: object) -> str:
    """What is printed; null is nothing."""
    if type(value) is str:
        return value
    return _text(data(value))


def data(value: Any) -> Any:
    """The value; ValueError if it is a function, which is no data and never called."""
    if callable(value):
        raise ValueError("the input contains a function; register it as a helper")
    return value


def is_list(value: object) -> bool:
    """Whether it has items to go through; a text has not."""
    return type(value) is list or (
        isinstance(value, Sequence) and not isinstance(value, str | bytes)
    )


def is_empty(value: Any) -> bool:
    """Whether ``#with`` has nothing to step into. An empty object is something, an empty list is not."""
    if value is None or value is False or value == "":
        return True
    return is_list(value) and len(value) == 0


def is_true(value: Any, *, is_zero_true: bool = False) -> bool:
    """What ``#if`` makes of it. An empty object is true."""
    if isinstance(value, bool):
        return value
    if value == 0 and not is_zero_true:
        return False
    return not is_empty(value)


def step(current: Any, name: str, *, path: str | None) -> Any:
    """What ``current`` holds by this name or index. If nothing: null, or StrictModeError if a path is to blame."""
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


# Of Unicode's private use, so that no parser of HTML minds them.
MARK = re.compile("\ue000([0-9]+)\ue001")


_MARKS = [f"\ue000{number}\ue001" for number in range(MAX_MARKS)]


class NoOutline(Exception):
    """What is printed cannot be told from the template: HTML from the data, say. Fill the template instead."""


@dataclass(frozen=True)
class Outline:
    """What a template prints apart from the values in it: a text with a numbered mark in the place of each value.

    ``values`` are what stands at each mark, not yet escaped. What stands between the marks is the template's own: all
    emails of one shape (so many lines, these branches) have the same outline, and what costs much is done once for it.
    """

    text: str
    values: list[str]


def mark(value: str, values: list[str]) -> str:
    """Put the value with the others; returns the mark for it."""
    if len(values) == MAX_MARKS:
        raise NoOutline
    values.append(value)
    return _MARKS[len(values) - 1]
