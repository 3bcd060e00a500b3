"""Read JSON in which no object has a name twice: which of two values counts would be a guess.

Sources: RFC 8259, 4; RFC 7493, 2.3. Python's own reader takes the last value without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


class _Ambiguous(dict[str, Any]):
    """An object in which this name stands twice."""

    twice = ""


def loads(text: str, **options: Any) -> Any:
    """Read JSON as ``json.loads`` does; raises ValueError if a name stands twice, with the path to it."""
    seen: list[str] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            found = _Ambiguous(found)
            found.twice = _first_repeated(pairs)
            seen.append(found.twice)
        return found

    value = json.loads(text, object_pairs_hook=made, **options)
    if seen:
        path = next(_paths(value))
        raise ValueError(f"{path} stands twice, with possibly different values. Keep one of them")
    return value


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    names = [name for name, _ in pairs]
    return next(name for index, name in enumerate(names) if name in names[:index])


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each name that stands twice, the outermost first."""
    if isinstance(value, _Ambiguous):
        yield f"{path}.{value.twice}".lstrip(".")
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, item in items:
        yield from _paths(item, f"{path}.{name}".lstrip("."))
