"""Our templates against handlebars.js: what it prints, or a refusal with line and column."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from django.template.base import Origin

from emails.rendering import template_helpers, templates
from emails.rendering.compiler import Compiler
from emails.rendering.parser import parse
from emails.rendering.sets import Template
from emails.rendering.syntax import BadTemplate
from emails.rendering.values import (
    MARK,
    MAX_MARKS,
    Missing,
    NoOutline,
    SafeString,
    TooDeep,
    escape,
)
from tests.support import handlebars_reference
from tests.support.handlebars_templates import PARTIALS, context, template

FOLDER = Path(__file__).resolve().parents[3] / "templates" / "emails"
SHARED = {path.stem: path.read_text() for path in (FOLDER / "partials").glob("*.hbs")}
FILES = sorted(path for path in FOLDER.glob("*/*.html.hbs") if path.parent.name != "partials")
FRAME = templates.frame(replace(templates.default_letterhead("shop"), support="a@example.com"))
FAILURES = (ArithmeticError, AttributeError, LookupError, Missing, TooDeep, TypeError, ValueError)
HELPERS = {
    **template_helpers.HELPERS,
    "upper": lambda arguments, options: arguments[0].upper(),
    "safe": lambda arguments, options: SafeString(arguments[0]),
    "loud": lambda arguments, options: options.fn().upper(),
}


def module(source, *, partials=PARTIALS, strict=False, is_apart=False):
    compiler = Compiler(HELPERS, strict=strict, escape=True)
    bodies = {name: compiler.template(parse(text)) for name, text in partials.items()}
    return compiler.template(parse(source)).module(bodies, is_apart=is_apart)


def rendered(source, data, **options):
    return module(source, **options).text(data, {})


def outline(source, data, **options):
    return module(source, is_apart=True, **options).shape(data, {})


def outcome(source, data, **options):
    try:
        return rendered(source, data, **options)
    except BadTemplate as exc:
        return exc
    except FAILURES:
        return None


def filled(shape):
    return MARK.sub(lambda mark: escape(shape.values[int(mark[1])]), shape.text)


def without_each_key(value):
    """The value, and what it becomes without one of its keys or with something else in its place."""
    yield value
    if isinstance(value, dict):
        for key, item in value.items():
            yield {other: value[other] for other in value if other != key}
            for changed in [*without_each_key(item), None, [], "<i>", {"name": 1}]:
                yield {**value, key: changed}
    elif isinstance(value, list):
        yield []
        for index, item in enumerate(value):
            for changed in without_each_key(item):
                yield [*value[:index], changed, *value[index + 1 :]]


@pytest.mark.skipif(not handlebars_reference.IS_THERE, reason="npm's handlebars is not installed")
def test_any_template_comes_out_as_by_handlebars_js_or_is_refused():
    chance = random.Random(4)  # noqa: S311  # no secret
    cases = [
        {"template": template(chance), "data": context(chance), "partials": PARTIALS}
        for _ in range(4_000)
    ]

    theirs = handlebars_reference.answers(cases)

    ours = [outcome(case["template"], case["data"]) for case in cases]
    different = [
        (case["template"], case["data"], right, mine)
        for case, right, mine in zip(cases, theirs, ours, strict=True)
        if mine != right and not isinstance(mine, BadTemplate)
    ]
    assert different == []
    needless = [
        str(mine)
        for right, mine in zip(theirs, ours, strict=True)
        if right is not None and isinstance(mine, BadTemplate)
    ]
    # A missing helper is an error of handlebars.js only where the data leads to it.
    known = ("an inline partial cannot see", "Missing helper")
    assert [problem for problem in needless if not any(part in problem for part in known)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_outline_of_our_templates_is_the_email_whatever_the_data_lacks(file):
    whole = module(file.read_text(), partials=SHARED, strict=True)
    apart = module(file.read_text(), partials=SHARED, strict=True, is_apart=True)
    checked = 0
    for data in without_each_key(dict(templates.sample(file.parent.name).data)):
        try:
            right = whole.text(data, FRAME)
            shape = apart.shape(data, FRAME)
        except (*FAILURES, NoOutline):
            continue
        assert filled(shape) == right
        checked += 1
    assert checked > 10


def test_outline_of_any_template_is_its_text():
    chance = random.Random(5)  # noqa: S311  # no secret
    for _ in range(1_000):
        source, data = template(chance), context(chance)
        try:
            right = rendered(source, data)
            shape = outline(source, data)
        except (*FAILURES, NoOutline):
            continue
        assert filled(shape) == right


def test_partials_without_end_are_an_error():
    data: dict[str, object] = {}
    data["xs"] = [data]

    with pytest.raises(TooDeep):
        rendered("{{> loop}}", data, partials={"loop": "{{#each xs}}{{> loop}}{{/each}}"})


def test_outline_is_the_same_whatever_the_values():
    source = "{{#each xs}}<p>{{a}}</p>{{#ifeq a 1}}<b>{{a}}</b>{{else}}{{a}}{{/ifeq}}{{/each}}"
    apart = module(source, strict=True, is_apart=True)

    first = apart.shape({"xs": [{"a": 1}, {"a": "<x>"}]}, {})
    second = apart.shape({"xs": [{"a": 1}, {"a": "y"}]}, {})

    assert (first.key, first.text) == (second.key, second.text)
    assert second.values == ["1", "1", "y", "y"]


@pytest.mark.parametrize(
    "source", ["{{{a}}}", "{{&a}}", "{{safe a}}", "{{#loud}}{{a}}{{/loud}}", "  {{> line label=a}}"]
)
def test_there_is_no_outline_where_a_value_is_more_than_its_text(source):
    with pytest.raises(NoOutline):
        outline(source, {"a": "x\ny"})


def test_there_is_no_outline_of_very_many_values():
    outline("{{#each xs}}{{this}}{{/each}}", {"xs": [1] * MAX_MARKS})

    with pytest.raises(NoOutline):
        outline("{{#each xs}}{{this}}{{/each}}", {"xs": [1] * (MAX_MARKS + 1)})


@pytest.mark.parametrize("text", ["'", '"', "\\", "\n", "'" * 3, '"' * 3, "{x}", "%s", "\x00", "#"])
def test_text_of_a_template_never_becomes_code(text):
    odd = f"{text}'+raise+\"{text} "
    data = {odd: "value", f"[{odd}]": "value"}

    printed = rendered(f"{odd}{{{{[{odd}]}}}}{{{{> [{odd}]}}}}", data, partials={odd: odd})

    assert printed == f"{odd}value{odd}"


def nested(depth):
    value: dict[str, object] = {"label": "end", "xs": [], "o": None}
    for _ in range(depth):
        value = {"label": "x", "xs": [value], "o": value}
    return value


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("{{#if 1}}", "{{/if}}"),
        ("{{#each xs}}", "{{/each}}"),
        ("{{#each xs as |x|}}", "{{/each}}"),
        ("{{#with o as |x|}}", "{{/with}}"),
        ("{{#xs}}", "{{/xs}}"),
        ("{{#o}}", "{{/o}}"),
        ("{{#loud}}", "{{/loud}}"),
        ("{{#ifeq 1 1}}", "{{/ifeq}}"),
    ],
)
def test_as_many_blocks_in_each_other_as_the_parser_allows_are_printed(begin, end):
    source = f"{begin * 99}{{{{label}}}}{{{{@root.label}}}}{end * 99}"

    assert rendered(source, nested(99)).lower() in ("endx", "xx")


LOOP = "({{label}}{{#each xs}}{{> loop}}{{/each}}{{#with o}}{{> loop}}{{/with}})"


def test_partial_that_calls_itself_writes_its_functions_once():
    loop = module(LOOP, partials={"loop": LOOP})

    for depth in (3, 5):
        assert loop.text(nested(depth), {}).count("(end)") == 2**depth
    written = loop._recursions
    for depth in (3, 5):
        loop.text(nested(depth), {})

    assert loop._recursions == written > 50
    assert not loop.is_full


def test_partial_that_calls_itself_does_not_keep_ever_more_functions(monkeypatch):
    monkeypatch.setattr("emails.rendering.functions.MAX_RECURSIONS", 50)
    body = Compiler(HELPERS, strict=True, escape=True).template(parse(LOOP))
    made = Template(Origin("loop"), body, {"loop": body})

    for depth in (5, 3):
        assert made.render(nested(depth)).count("(end)") == 2**depth

    assert made._module(is_apart=False)._recursions < 50


def test_large_template_is_written_once():
    source = "{{a}}{{#if b}}x{{/if}}{{#each xs}}{{label}}{{/each}}\n" * 500
    large = module(source)
    names = large._names

    assert large.text({"a": 1, "b": 1, "xs": [{"label": 2}]}, {}) == "1x2\n" * 500
    before = next(names)
    large.text({"a": 1, "b": 1, "xs": [{"label": 2}]}, {})

    assert next(names) == before + 1
    assert not large.is_full


def test_helper_is_asked_once_for_the_same_arguments(monkeypatch):
    asked = []

    def ask(arguments, options):
        asked.append(arguments)
        return "yes"

    monkeypatch.setitem(HELPERS, "ask", ask)

    text = rendered("{{ask a}}{{#if b}}{{ask a}}{{/if}}{{ask b}}{{ask a}}", {"a": 1, "b": 2})

    assert text == "yes" * 4
    assert asked == [[1], [2]]


def test_helper_may_step_into_a_value(monkeypatch):
    def into(arguments, options):
        return options.fn(arguments[0]) + options.inverse()

    monkeypatch.setitem(HELPERS, "into", into)
    source = "{{#into o}}{{label}}{{../label}};{{else}}{{label}}{{/into}}"

    text = rendered(source, {"label": "out", "o": {"label": "<in>"}})

    assert text == "&amp;lt;in&amp;gt;out;out"
