"""Read JSON in which no object has a name twice: which of two values counts would be a guess.

Sources: RFC 8259, 4; RFC 7493, 2.3. Python's own reader takes the last value without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

# Both readers, and PostgreSQL, read much more; no event of ours has so many objects and lists.
_MOST_PARTS = 200
# orjson turns a whole number of more than 64 bits into a float.
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19
# A NUL, and signs such as a colon, which would spoil the count of colons.
_ESCAPES = (b"\\u0000", b"\\u003")


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


def plain_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object in a quarter of the time; None if only ``loads`` can tell whether it is one, and why not.

    orjson itself refuses NaN, infinity, and lone surrogates. A name that stands twice shows in the number of colons:
    what was read and is written again has one less.
    """
    try:
        body = text.encode()
        value = orjson.loads(body)
    except ValueError:
        return None
    if (
        not isinstance(value, dict)
        or body.count(b"{") + body.count(b"[") > _MOST_PARTS
        or any(escape in body for escape in _ESCAPES)
        or _LONG in body.translate(_DIGITS)
        or body.count(b":") != orjson.dumps(value).count(b":")
    ):
        return None
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
