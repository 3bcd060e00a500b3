"""Our templates against handlebars.js: what it prints, or a refusal with line and column."""

import random
from pathlib import Path

import pytest

from emails.rendering import template_helpers, templates
from emails.rendering.compiler import Compiler
from emails.rendering.expressions import State
from emails.rendering.parser import parse
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
FAILURES = (ArithmeticError, AttributeError, LookupError, Missing, TooDeep, TypeError, ValueError)
HELPERS = {
    **template_helpers.HELPERS,
    "upper": lambda arguments, options: arguments[0].upper(),
    "safe": lambda arguments, options: SafeString(arguments[0]),
    "loud": lambda arguments, options: options.fn().upper(),
}


def rendered(source, data, *, partials=PARTIALS, strict=False, printed=None):
    compiler = Compiler(HELPERS, strict=strict, escape=True)
    bodies = {name: compiler.template(parse(text)) for name, text in partials.items()}
    return compiler.template(parse(source)).render(State.of(data, bodies, printed))


def outcome(source, data, **options):
    try:
        return rendered(source, data, **options)
    except BadTemplate as exc:
        return exc
    except FAILURES:
        return None


def filled(text, printed):
    return MARK.sub(lambda mark: escape(printed[int(mark[1])]), text)


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
    for data in without_each_key(dict(templates.sample(file.parent.name).data)):
        printed: list[str] = []
        try:
            right = rendered(file.read_text(), data, partials=SHARED, strict=True)
            text = rendered(file.read_text(), data, partials=SHARED, strict=True, printed=printed)
        except (*FAILURES, NoOutline):
            continue
        assert filled(text, printed) == right


def test_outline_of_any_template_is_its_text():
    chance = random.Random(5)  # noqa: S311  # no secret
    for _ in range(1_000):
        source, data = template(chance), context(chance)
        printed: list[str] = []
        try:
            right = rendered(source, data)
            text = rendered(source, data, printed=printed)
        except (*FAILURES, NoOutline):
            continue
        assert filled(text, printed) == right


def test_partials_without_end_are_an_error():
    data: dict[str, object] = {}
    data["xs"] = [data]

    with pytest.raises(TooDeep):
        rendered("{{> loop}}", data, partials={"loop": "{{#each xs}}{{> loop}}{{/each}}"})


def outline(source, data):
    printed: list[str] = []
    return rendered(source, data, strict=True, printed=printed), printed


def test_outline_is_the_same_whatever_the_values():
    source = "{{#each xs}}<p>{{a}}</p>{{#ifeq a 1}}<b>{{a}}</b>{{else}}{{a}}{{/ifeq}}{{/each}}"

    first, _ = outline(source, {"xs": [{"a": 1}, {"a": "<x>"}]})
    second, values = outline(source, {"xs": [{"a": 1}, {"a": "y"}]})

    assert first == second
    assert values == ["1", "1", "y", "y"]


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
