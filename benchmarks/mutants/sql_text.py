"""Break the parts of a statement of SQL: its conditions, its changes, its order."""

from __future__ import annotations

import re
from collections.abc import Iterator

Change = tuple[str, int, int, str]

_IS_SQL = re.compile(
    r"\b(SELECT|UPDATE|INSERT INTO|DELETE FROM|VALUES|WHERE)\b|^.{0,4}\s*AND ", re.DOTALL
)
_CONDITION = re.compile(r"\b(?:WHERE|AND|OR)\s+")
_ENDS = re.compile(
    r"\b(?:AND|OR|ORDER BY|RETURNING|LIMIT|ON CONFLICT|GROUP BY|FROM)\b|\"\"\"|\"$|\"\n"
)
_ASSIGNED = re.compile(r"(?<=SET )|(?<=,\s)")
_COLUMN = re.compile(r"\s*(\"?\w+\"?) = ")
_SWAPPED = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "<>": "="}
_CONTRARY = {"<=": ">", "<": ">=", ">=": "<", ">": "<=", "<>": "="}
_STATES = (
    "pending",
    "claimed",
    "published",
    "held",
    "dead",
    "handled",
    "sending",
    "sent",
    "active",
)


def changes(text: str) -> Iterator[Change]:
    """Yield the changes of a text in its source, quotes included: a name, where it stands, and what stands there."""
    if not _IS_SQL.search(text):
        return
    yield from _without_conditions(text)
    yield from _without_assignments(text)
    for match in re.finditer(r" (<=|>=|<>|<|>) (\{?)", text):
        # What is put in is the time, and an instant more or less can be seen by nobody.
        swapped = _CONTRARY if match[2] else _SWAPPED
        yield "swap comparison in SQL", *match.span(1), swapped[match[1]]
    for match in re.finditer(r"'(\w+)'", text):
        if match[1] in _STATES:
            other = _STATES[(_STATES.index(match[1]) + 1) % len(_STATES)]
            yield "change state in SQL", *match.span(1), other
    for match in re.finditer(r"\s?ON CONFLICT DO NOTHING|ORDER BY \w+(?:, \w+)*", text):
        yield "drop from SQL", *match.span(), ""
    for match in re.finditer(r"IN \(('\w+'(?:, '\w+')+)\)", text):
        for element in re.finditer(r"'\w+', |, '\w+'$", match[1]):
            start = match.start(1)
            yield "drop state in SQL", start + element.start(), start + element.end(), ""


def _without_conditions(text: str) -> Iterator[Change]:
    """Make each condition true; its parameters stay."""
    for match in _CONDITION.finditer(text):
        if re.search(r"BETWEEN \S+\s+$", text[: match.start()]):
            continue
        end = _end(text, match.end())
        condition = text[match.end() : end].rstrip()
        if condition:
            end = match.end() + len(condition)
            yield "drop condition in SQL", match.end(), end, f"({condition} OR 1 = 1)"


def _without_assignments(text: str) -> Iterator[Change]:
    """Let each column keep its value; its parameters stay."""
    place = re.search(r"\bSET ", text)
    if not place:
        return
    begin = place.end()
    while column := _COLUMN.match(text, begin):
        end = _end(text, column.end(), also=",")
        if where := re.search(r"\s+WHERE\b", text[column.end() : end]):
            end = column.end() + where.start()
        value = text[column.end() : end].rstrip().rstrip('"').rstrip()
        end = column.end() + len(value)
        new = f"CASE WHEN 1 = 1 THEN {column[1]} ELSE {value} END"
        yield "drop assignment in SQL", column.end(), end, new
        if text[end : end + 1] != ",":
            return
        begin = end + 1


def _end(text: str, begin: int, *, also: str = "") -> int:
    """Return where the expression that begins here ends."""
    depth, place = 0, begin
    while place < len(text):
        is_end = not depth and place > begin and _ENDS.match(text, place)
        if is_end and not re.search(r"BETWEEN \S+\s+$", text[:place]):
            return place
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth < 0 or (not depth and text[place] in also and also):
            return place
        place += 1
    return place
