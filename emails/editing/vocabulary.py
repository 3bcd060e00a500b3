"""Name all that can be written into a template, with types and words of explanation, so that an editor can offer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from emails.checking.shapes import UNKNOWN, Shape, like
from emails.checking.signatures import SIGNATURES
from emails.errors import RenderError
from emails.rendering import templates
from emails.rendering.templates import Letterhead
from emails.versions import in_force
from queues.events import schemas

# Deeper fields are not offered: a schema may refer to itself.
_DEEPEST = 5
_BLOCKS = {
    "if": "Print the block if the value is there and not empty.",
    "unless": "Print the block if the value is absent or empty.",
    "each": "Print the block for each item of a list.",
    "with": "Print the block with the fields of a value.",
    "else": "What is printed otherwise.",
}
_BRAND = {
    "name": "the brand's name",
    "mark": "the letter in its logo",
    "colour": "its colour",
    "footer": "its postal address",
    "support": "the address for questions",
}
_DATA = {
    "language": "the language of this email's texts",
    "locale": "how money, numbers and times are written",
    "dir": "ltr or rtl",
    "root": "the whole event",
    "index": "the number of the item, from 0, inside #each",
    "first": "true for the first item, inside #each",
    "last": "true for the last item, inside #each",
}


def of(template: str) -> dict[str, Any]:
    """Return what can be written into this template, or into a partial if it is empty, as JSON for the editor."""
    return {
        "fields": _fields(_shape(template), 0) if template else [],
        "helpers": _helpers(),
        "data": _data(),
        "partials": [
            name.removeprefix("partials/").removesuffix(".hbs") for name in in_force.partials()
        ],
    }


def _shape(template: str) -> Shape:
    try:
        sample = templates.sample(template)
    except RenderError:
        return UNKNOWN
    schema = schemas.data_schema(sample.type)
    return Shape(schema if schema is not None else like(sample.data))


def _fields(shape: Shape, depth: int) -> list[dict[str, Any]]:
    """Return the names inside a value; those of a list are the names of one item."""
    if depth == _DEEPEST:
        return []
    found = []
    for name in sorted(shape.names()):
        step = shape.step(name)
        if step is None:
            continue
        inner = step.shape.items() if "array" in step.shape.kinds else step.shape
        found.append(
            {
                "name": name,
                "kind": _kind(step.shape) + ("" if step.is_sure else ", may be absent"),
                "about": _about(step.shape),
                "fields": _fields(inner or UNKNOWN, depth + 1),
            }
        )
    return found


def _kind(shape: Shape) -> str:
    if shape.is_link:
        return "address"
    if shape.is_time:
        return "time"
    words = {"string": "text", "integer": "whole number", "array": "list", "object": "parts"}
    return " or ".join(sorted(words.get(kind, kind) for kind in shape.kinds))


def _about(shape: Shape) -> str:
    known = [each for each in shape.alternatives if each.get("type") != "null"]
    texts = [_text_of(each) for each in known]
    return next(filter(None, texts), "")


def _text_of(schema: Mapping[str, Any]) -> str:
    words = [str(word) for word in schema.get("enum", ())]
    return " ".join(filter(None, (schema.get("description", ""), ", ".join(words))))


def _helpers() -> list[dict[str, str]]:
    blocks = [
        {"label": name, "type": "keyword", "detail": "block", "info": words}
        for name, words in _BLOCKS.items()
    ]
    return blocks + [
        {
            "label": name,
            "type": "function",
            "detail": "block" if signature.is_block else "helper",
            "info": f"{signature.summary} {signature.example} prints {signature.output}",
        }
        for name, signature in SIGNATURES.items()
    ]


def _data() -> list[dict[str, str]]:
    brand = {f"brand.{field.name}": _BRAND.get(field.name, "") for field in fields(Letterhead)}
    return [
        {"label": f"@{name}", "type": "variable", "detail": words}
        for name, words in (brand | _DATA).items()
    ]
