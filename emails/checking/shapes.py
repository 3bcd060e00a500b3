"""Say what a value can be, from a JSON Schema: which names it has, and which of them may be absent.

A shape is the list of the alternatives that a schema allows, each a schema of one type. The schemas that pydantic
makes are understood whole; keywords that it does not write (``if``, ``not``, ``dependentSchemas``) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from queues.events import links

Schema = Mapping[str, Any]
# More references in each other than this are a circle.
_MOST_HOPS = 20
_OPEN: Schema = {}
_is_index = re.compile("0|[1-9][0-9]{0,8}").fullmatch
# What can stand in a style sheet without ending anything there.
_is_plain_word = re.compile(r"[#\w.%-]{1,40}", re.ASCII).fullmatch
_NUMBERS = {"integer", "number"}


@dataclass(frozen=True)
class Step:
    """The value that a name leads to; ``is_sure`` is False if some data does not have it."""

    shape: Shape
    is_sure: bool


class Shape:
    """What a value can be. ``literal`` is the text of a value that the template itself writes."""

    def __init__(
        self, schema: Schema | bool, root: Schema | None = None, *, literal: str | None = None
    ) -> None:
        """Take a schema; ``root`` is the document in which its references are looked up."""
        self._schema = schema
        self._root: Schema = (
            root if root is not None else {} if isinstance(schema, bool) else schema
        )
        self.literal = literal

    @cached_property
    def alternatives(self) -> tuple[Schema, ...]:
        """The schemas, of one type each, that the value fits; one without a type stands for anything."""
        return tuple(_alternatives(self._schema, self._root, _MOST_HOPS))

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The JSON types that the value can have, or ``any``."""
        return frozenset(str(each.get("type", "any")) for each in self.alternatives)

    # True if nothing is known of the value and of all that is in it.
    is_unknown = False

    @property
    def may_be_null(self) -> bool:
        """Return True if the value may be null."""
        return bool(self.kinds & {"null", "any"}) and not self.is_unknown

    @cached_property
    def is_link(self) -> bool:
        """Return True if the value is always an address: a schema says so by ``format: uri``."""
        return self._all_have("format", "uri")

    @cached_property
    def is_time(self) -> bool:
        """Return True if the value is always a time with its zone."""
        return self._all_have("format", "date-time")

    @cached_property
    def is_harmless_in_style(self) -> bool:
        """Return True if the value is a number, or one of some plain words."""
        return all(
            each.get("type") in _NUMBERS
            or (words := _words(each))
            and all(_is_plain_word(str(word)) for word in words)
            for each in self.alternatives
        )

    def has_object(self) -> bool:
        """Return True if the value may be an object, or a list that has one in it: it cannot be printed."""
        return any(
            each.get("type") == "object"
            or (each.get("type") == "array" and self._has_object_inside(each))
            for each in self.alternatives
        )

    def fits(self, *kinds: str) -> bool:
        """Return True if the value may be of one of these types; null is asked for by ``may_be_null``."""
        return bool(self.kinds & {*kinds, "any"})

    def or_null(self) -> Shape:
        """Return the shape of the same value where it may be absent."""
        return self._inner({"anyOf": [self._schema, {"type": "null"}]})

    def names(self) -> set[str]:
        """Return the names that the value is known to have."""
        found = {name for each in self.alternatives for name in _dict(each.get("properties"))}
        return found | ({"length"} if self.kinds & {"array"} else set())

    def step(self, name: str, *, is_null_excluded: bool = False) -> Step | None:
        """Return the value inside this one; None if no data has one of this name."""
        steps, is_sure = [], True
        for each in self.alternatives:
            if each.get("type") == "null":
                is_sure = is_sure and is_null_excluded
                continue
            found = self._step(each, name)
            if found is None:
                is_sure = False
            else:
                steps.append(found[0])
                is_sure = is_sure and found[1]
        if not steps:
            return None
        return Step(
            self._inner({"anyOf": steps}) if len(steps) > 1 else self._inner(steps[0]), is_sure
        )

    def items(self) -> Shape | None:
        """Return what ``#each`` goes through; None if it is no list and no object."""
        found = [item for each in self.alternatives for item in _items(each)]
        if not found:
            return None
        return self._inner({"anyOf": found}) if len(found) > 1 else self._inner(found[0])

    def _step(self, schema: Schema, name: str) -> tuple[Schema | bool, bool] | None:
        kind = schema.get("type")
        if kind is None:
            return _OPEN, False
        if kind == "object":
            return _property(schema, name)
        if kind == "array" and _is_index(name):
            items = list(_items(schema))
            index = int(name)
            item = items[index] if index < len(items) - 1 else (items or [_OPEN])[-1]
            return item, index < int(schema.get("minItems", 0))
        if kind in ("array", "string") and name == "length":
            return {"type": "integer"}, True
        return ({"type": "string"}, False) if kind == "string" and _is_index(name) else None

    def _inner(self, schema: Schema | bool) -> Shape:
        return Shape(schema, self._root)

    def _has_object_inside(self, schema: Schema) -> bool:
        return any(_has_object(item, self._root, _MOST_HOPS) for item in _items(schema))

    def _all_have(self, keyword: str, value: str) -> bool:
        found = [each for each in self.alternatives if each.get("type") != "null"]
        return bool(found) and all(each.get(keyword) == value for each in found)


class _Unknown(Shape):
    """The shape of a value of which nothing is known."""

    is_unknown = True
    is_link = True
    is_time = True
    is_harmless_in_style = False

    def step(self, name: str, *, is_null_excluded: bool = False) -> Step:
        """Return that anything may be there."""
        return Step(self, True)

    def items(self) -> Shape:
        """Return that anything may be in it."""
        return self

    def or_null(self) -> Shape:
        """Return itself: nobody asks for what is unknown."""
        return self


UNKNOWN: Shape = _Unknown({})
TEXT = Shape({"type": "string"})
NUMBER = Shape({"type": "integer"})
TRUTH = Shape({"type": "boolean"})


def written(value: object) -> Shape:
    """Return the shape of a literal in a template."""
    if isinstance(value, str):
        return Shape({"type": "string", "const": value}, literal=value)
    return Shape(like(value))


def like(value: object) -> Schema:
    """Return a schema for which this value is an example: all that it has is required."""
    if isinstance(value, Mapping):
        properties = {str(name): like(item) for name, item in value.items()}
        return {"type": "object", "properties": properties, "required": [*properties]}
    if isinstance(value, list | tuple):
        return {
            "type": "array",
            "items": {"anyOf": [like(item) for item in value]} if value else {},
        }
    if isinstance(value, bool):
        return {"type": "boolean"}
    if value is None:
        return {"type": "null"}
    if isinstance(value, int | float):
        return {"type": "integer" if isinstance(value, int) else "number"}
    text = {"type": "string"}
    if links.is_plain(str(value)):
        return {**text, "format": "uri"}
    return {**text, "format": "date-time"} if _is_time(str(value)) else text


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _dict(value: object) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _alternatives(schema: object, root: Schema, hops: int) -> Iterator[Schema]:
    if not isinstance(schema, Mapping) or hops < 0:
        yield _OPEN
    elif "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        for each in _alternatives(_resolved(str(schema["$ref"]), root), root, hops - 1):
            yield {**each, **rest}
    elif choices := [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        for choice in choices:
            yield from _alternatives(choice, root, hops - 1)
    elif "allOf" in schema:
        yield _merged([*_all_of(schema, root, hops)])
    elif isinstance(kinds := schema.get("type"), list):
        yield from ({**schema, "type": kind} for kind in kinds)
    elif kinds is None and (words := _words(schema)):
        for kind in sorted({str(like(word)["type"]) for word in words}):
            yield {**schema, "type": kind}
    elif kinds is None and "properties" in schema:
        yield {**schema, "type": "object"}
    else:
        yield schema


def _all_of(schema: Schema, root: Schema, hops: int) -> Iterator[Schema]:
    yield {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        yield from _alternatives(part, root, hops - 1)


def _merged(schemas: list[Schema]) -> Schema:
    merged: dict[str, Any] = {}
    for schema in schemas:
        properties = {**_dict(merged.get("properties")), **_dict(schema.get("properties"))}
        required = [*merged.get("required", ()), *schema.get("required", ())]
        merged = {**merged, **schema}
        if properties:
            merged |= {"properties": properties, "required": required, "type": "object"}
    return merged


def _resolved(reference: str, root: Schema) -> object:
    found: object = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = _dict(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _words(schema: Schema) -> list[object]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _property(schema: Schema, name: str) -> tuple[Schema | bool, bool] | None:
    properties = _dict(schema.get("properties"))
    if name in properties:
        found = properties[name]
        # Consumers fill in the defaults before an email is made.
        return found, name in schema.get("required", ()) or "default" in _dict(found)
    more = schema.get("additionalProperties", "properties" not in schema)
    return None if more is False else (more, False)


def _items(schema: Schema) -> Iterator[Schema | bool]:
    if schema.get("type") == "array":
        yield from schema.get("prefixItems", ())
        if "prefixItems" not in schema or schema.get("items"):
            yield schema.get("items", _OPEN)
    elif schema.get("type") == "object":
        yield from _dict(schema.get("properties")).values()
        if more := schema.get("additionalProperties", "properties" not in schema):
            yield more
    elif "type" not in schema:
        yield _OPEN


def _has_object(schema: object, root: Schema, hops: int) -> bool:
    return hops > 0 and any(
        each.get("type") == "object"
        or (
            each.get("type") == "array"
            and any(_has_object(item, root, hops - 1) for item in _items(each))
        )
        for each in _alternatives(schema, root, hops)
    )
