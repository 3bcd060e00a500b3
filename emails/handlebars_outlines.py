"""What a template prints, apart from the values in it.

An outline is the text of a filled template with a numbered mark in the place of each value. What stands between the
marks is the template's own: all emails of one shape (so many lines, these branches) have the same outline, and what
costs much is done once for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_MARKS = 500
# Of Unicode's private use, so that no parser of HTML minds them.
MARK = re.compile("\ue000([0-9]+)\ue001")
_MARKS = [f"\ue000{number}\ue001" for number in range(MAX_MARKS)]


class NoOutline(Exception):
    """What is printed cannot be told from the template: HTML from the data, say. Fill the template instead."""


@dataclass(frozen=True)
class Outline:
    """The text, and what stands at each mark, not yet escaped."""

    text: str
    values: list[str]


def mark(value: str, values: list[str]) -> str:
    """Put the value with the others; returns the mark for it."""
    if len(values) == MAX_MARKS:
        raise NoOutline
    values.append(value)
    return _MARKS[len(values) - 1]
