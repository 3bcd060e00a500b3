"""Make up data that an event's JSON Schema allows and that nobody has seen yet: long, empty, hostile, and absent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from emails.checking.shapes import Shape
from emails.errors import RenderError
from emails.models import RehearsalCase
from emails.rehearsal import kinds
from emails.rehearsal.subjects import Subject
from emails.rendering import languages, templates
from queues.errors import UnknownType
from queues.events import envelope

# No template gets more than this.
MOST = 1_000
_MOST_DEPTH = 5
_LONGEST = 5_000
_MANY = 100
_ABSENT = object()
_TEXTS = {
    "long text": "Donaudampfschifffahrtsgesellschaftskapitän ",
    "markup": "</td><script>alert('1')</script> & \"quoted\" {{secret}} {{{raw}}} <!-- ",
    "right to left": "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd 123 (abc)",
    "emoji": "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 e\u0301 ﬃ",
    "spaces": "  ",
}

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class _Factor:
    """A place in the data, and what may be there, each with its name."""

    path: Path
    values: tuple[tuple[str, Any], ...]
    # These are tried together with those of every other such place.
    is_choice: bool = False


def of(template: str, files: Collection[str]) -> list[Subject]:
    """Return made-up data for a template, its sample first, and each in all languages that the files have.

    Data that consumers would refuse is left out. The list is the same each time.
    """
    try:
        sample = templates.sample(template)
    except RenderError:
        return []
    tags = ["", *sorted(languages.variants(files))]
    found = [*_distinct(sample.type, sample.data)]
    return [
        Subject(
            RehearsalCase.Kind.MADE,
            template,
            {**data, "locale": tag} if tag else data,
            sample.type,
            f"{name} ({languages.english_name(tag)})" if tag else name,
        )
        for name, data in found[:MOST]
        for tag in tags
    ]


def _distinct(event_type: str, sample: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    seen = []
    for name, data in _made(event_type, sample):
        taken = _taken(event_type, data)
        if taken is not None and taken not in seen:
            seen.append(taken)
            yield name, taken


def _taken(event_type: str, data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the data as consumers hand it to a template; None if they refuse it."""
    try:
        return envelope.data_type(event_type).model_validate(data).model_dump(mode="json")
    except UnknownType:
        return data
    except ValidationError:
        return None


def _made(event_type: str, sample: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "sample", dict(sample)
    shape = kinds.shape_of(event_type)
    factors = [*_factors(shape, sample)] if shape else []
    for factor in factors:
        for name, value in factor.values:
            yield f"{_words(factor.path)}: {name}", _with(sample, {factor.path: value})
    # Sums often tie numbers to each other, so all of them change at once too.
    for name in dict.fromkeys(name for each in factors for name, _ in each.values):
        everywhere = {
            each.path: dict(each.values)[name] for each in factors if name in dict(each.values)
        }
        yield f"{name} everywhere", _with(sample, everywhere)
    for first, second in combinations([each for each in factors if each.is_choice], 2):
        for one, value in first.values:
            for other, another in second.values:
                name = f"{_words(first.path)}: {one}, {_words(second.path)}: {other}"
                yield name, _with(sample, {first.path: value, second.path: another})


def _factors(shape: Shape, value: Any, path: Path = ()) -> Iterator[_Factor]:
    if len(path) > _MOST_DEPTH:
        return
    if path and (values := [*_values(shape, value)]):
        yield _Factor(
            path, tuple(values), is_choice=bool(kinds.choices(shape)) or isinstance(value, bool)
        )
    if isinstance(value, list) and value and (items := shape.items()):
        yield from _factors(items, value[0], (*path, 0))
    if shape.fits("object") and isinstance(value, Mapping):
        for name in sorted(shape.names()):
            if not (step := shape.step(name)):
                continue
            if not step.is_sure:
                there = value.get(name, _example(step.shape))
                yield _Factor(
                    (*path, name), (("absent", _ABSENT), ("there", there)), is_choice=True
                )
            yield from _factors(step.shape, value.get(name), (*path, name))


def _values(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what else may stand here."""
    if chosen := kinds.choices(shape):
        yield from ((str(each), each) for each in chosen)
        return
    for schema in shape.alternatives:
        make = _MAKERS.get(str(schema.get("type")))
        if make:
            yield from make(schema, value)


def _texts(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    if schema.get("format"):
        return
    longest = min(schema.get("maxLength", _LONGEST), _LONGEST)
    if not schema.get("minLength"):
        yield "empty", ""
    for name, text in _TEXTS.items():
        yield name, (text * (longest // len(text) + 1) if name == "long text" else text)[:longest]


def _numbers(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    yield "least", least
    yield "most", schema.get("maximum", schema.get("exclusiveMaximum", 10**15 + 1) - 1)


def _lists(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    items = value if isinstance(value, list) else []
    if not schema.get("minItems"):
        yield "none", []
    yield "one", items[:1]
    if items:
        yield "many", [items[0]] * min(schema.get("maxItems", _MANY), _MANY)


_MAKERS: dict[str, Callable[[Mapping[str, Any], Any], Iterator[tuple[str, Any]]]] = {
    "string": _texts,
    "integer": _numbers,
    "number": _numbers,
    "array": _lists,
    "boolean": lambda schema, value: iter([("true", True), ("false", False)]),
    "null": lambda schema, value: iter([("null", None)]),
}


def _example(shape: Shape) -> Any:
    """Return a plain value of this shape, for a field that the sample lacks."""
    return next(
        (value for name, value in _values(shape, None) if value not in ("", None, [])), None
    )


def _with(sample: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """Return the sample with other values; of a list, all items get them."""
    data = deepcopy(dict(sample))
    for path, value in values.items():
        for parent in _parents(data, path):
            if value is _ABSENT:
                parent.pop(path[-1], None)
            else:
                parent[path[-1]] = value
    return data


def _parents(data: Any, path: Path) -> list[Any]:
    found = [data]
    for name in path[:-1]:
        inner: list[Any] = []
        for each in found:
            if isinstance(each, list):
                inner += each
            elif isinstance(each, dict) and name in each:
                inner.append(each[name])
        found = inner
    return [each for each in found if isinstance(each, dict) and path[-1] != 0]


def _words(path: Path) -> str:
    return ".".join(str(name) for name in path if name != 0).replace("_", " ")
