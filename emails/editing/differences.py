"""Compare two versions of a template line by line, for a table with both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# Unchanged lines around a change that are shown.
_CONTEXT = 3


@dataclass(frozen=True)
class Side:
    """A line of one side, in three parts: the middle one differs from the other side's. No number, no line."""

    number: int | None = None
    before: str = ""
    changed: str = ""
    after: str = ""


@dataclass(frozen=True)
class Row:
    """A line of both sides; ``hidden`` counts unchanged lines that are left out in its place."""

    left: Side = Side()
    right: Side = Side()
    is_changed: bool = False
    hidden: int = 0


@dataclass(frozen=True)
class FileDifference:
    """What differs in one file."""

    name: str
    rows: Sequence[Row]


def between(old: Mapping[str, str], new: Mapping[str, str]) -> list[FileDifference]:
    """Return the files that differ, with their lines side by side."""
    names = sorted(old.keys() | new.keys(), key=lambda name: (name.startswith("partials/"), name))
    return [
        FileDifference(name, list(_rows_of(old.get(name, ""), new.get(name, ""))))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _rows_of(old: str, new: str) -> Iterator[Row]:
    before, after = old.split("\n"), new.split("\n")
    # A line break at the end begins no line; where one side alone lacks it, that is told.
    for lines, other in ((before, new), (after, old)):
        if lines[-1] == "":
            lines.pop()
        elif other.endswith("\n"):
            lines[-1] += " (no line break)"
    yield from _rows(before, after)


def _rows(old: list[str], new: list[str]) -> Iterator[Row]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    opcodes = matcher.get_opcodes()
    for index, (kind, left, left_end, right, right_end) in enumerate(opcodes):
        if kind == "equal":
            is_first, is_last = index == 0, index == len(opcodes) - 1
            yield from _unchanged(old[left:left_end], left, right, is_first, is_last)
        else:
            yield from _changed(old[left:left_end], new[right:right_end], left, right)


def _unchanged(
    lines: list[str], left: int, right: int, is_first: bool, is_last: bool
) -> Iterator[Row]:
    head = 0 if is_first else _CONTEXT
    tail = 0 if is_last else _CONTEXT
    hidden = len(lines) - head - tail
    for index, line in enumerate(lines):
        if hidden > 1 and head <= index < len(lines) - tail:
            if index == head:
                yield Row(hidden=hidden)
            continue
        yield Row(Side(left + index + 1, line), Side(right + index + 1, line))


def _changed(old: list[str], new: list[str], left: int, right: int) -> Iterator[Row]:
    for index in range(max(len(old), len(new))):
        if index >= len(old):
            yield Row(Side(), Side(right + index + 1, changed=new[index]), is_changed=True)
        elif index >= len(new):
            yield Row(Side(left + index + 1, changed=old[index]), Side(), is_changed=True)
        else:
            sides = _split(old[index], new[index], left + index + 1, right + index + 1)
            yield Row(*sides, is_changed=True)


def _split(old: str, new: str, left: int, right: int) -> tuple[Side, Side]:
    """Mark what differs between two lines: all but their common beginning and end."""
    most = min(len(old), len(new))
    begin = next((at for at in range(most) if old[at] != new[at]), most)
    rest = most - begin
    end = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    return tuple(  # type: ignore[return-value]  # of two
        Side(number, text[:begin], text[begin : len(text) - end], text[len(text) - end :])
        for number, text in ((left, old), (right, new))
    )
