"""Tell in words what kind of data an event has: ``withdrawal, EUR, with description``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from emails.checking.shapes import Shape
from queues.errors import UnknownType
from queues.events import envelope

MOST_CHARACTERS = 300
_MOST_DEPTH = 6


def words(event_type: str, data: Mapping[str, Any]) -> str:
    """Name the choices that this data made among those that its type leaves: words of a list, and optional fields."""
    shape = shape_of(event_type)
    return ", ".join(dict.fromkeys(_words(shape, data)))[:MOST_CHARACTERS] if shape else ""


@lru_cache(256)
def shape_of(event_type: str) -> Shape | None:
    """Return what the data of a type of event can be; None if no app here knows the type."""
    try:
        return Shape(envelope.data_type(event_type).model_json_schema())
    except UnknownType:
        return None


def choices(shape: Shape) -> list[Any]:
    """Return the values of a list of words; empty if it is anything else."""
    found = [each.get("enum") or [each["const"]] for each in shape.alternatives if _is_list(each)]
    return [value for values in found for value in values]


def may_be_empty(shape: Shape) -> bool:
    """Return True for a text that may be empty, as that of an optional note."""
    texts = [each for each in shape.alternatives if each.get("type") == "string"]
    return any(not each.get("minLength") and not each.get("format") for each in texts)


def _words(shape: Shape, value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _MOST_DEPTH or not isinstance(value, Mapping):
        return
    # In the order of the type's model, which a database may not keep in its data.
    names = [name for each in shape.alternatives for name in each.get("properties", ())]
    for name in names:
        if not (step := _step(shape, name)):
            continue
        inner, item = step.shape, value.get(name)
        label = name.replace("_", " ")
        if choices(inner) and isinstance(item, str):
            yield item
        elif isinstance(item, bool):
            yield label if item else f"not {label}"
        elif isinstance(item, list | tuple):
            yield f"{'no' if not item else 'one' if len(item) == 1 else 'several'} {label}"
        elif item and (not step.is_sure or inner.may_be_null or may_be_empty(inner)):
            yield f"with {label}"
        yield from _words(inner, item, depth + 1)


@lru_cache(4096)
def _step(shape: Shape, name: str) -> Any:
    """Look up a field once for all events: a type has few, and many events are named."""
    return shape.step(name)


def _is_list(schema: Mapping[str, Any]) -> bool:
    return "enum" in schema or "const" in schema
