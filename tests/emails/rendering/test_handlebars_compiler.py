import json
from pathlib import Path

import pytest
from dotpromptz_handlebars import SafeString
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emails.rendering import template_helpers, templates
from emails.rendering.values import MARK, MAX_MARKS, NoOutline, escape
from tests.support.handlebars_reference import TOO_DEEP, rendered_by_library, rendered_by_us

CASES = json.loads(Path(__file__).with_name("handlebars_cases.json").read_text())
FOLDER = Path(__file__).resolve().parents[3] / "templates" / "emails"
SHARED = {path.stem: path.read_text() for path in (FOLDER / "partials").glob("*.hbs")}
FILES = sorted(path for path in FOLDER.glob("*/*.hbs") if path.parent.name != "partials")
HELPERS = {
    **template_helpers.HELPERS,
    "upper": lambda arguments, options: arguments[0].upper(),
    "safe": lambda arguments, options: SafeString(arguments[0]),
    "loud": lambda arguments, options: options.fn().upper(),
    "twice": lambda arguments, options: SafeString(options.fn() + options.fn()),
    "into": lambda arguments, options: options.fn(arguments[0]),
    "count": lambda arguments, options: len(options.hash),
}
PARTIALS = {
    "row": "<{{label}}{{#if a}}{{../a}}{{this}}{{/if}}{{@index}}>\n",
    "layout": "[{{> @partial-block}}{{#if @partial-block}}{{a}}{{/if}}{{@root.a}}{{> p}}]",
    "loop": "{{#each xs}}{{> loop}}{{/each}}",
    "line": "{{label}}",
    "empty": "",
}
PATHS = """
    a b xs o this . .. @index @key @first @last @root @root.a @../index @up it i it.a a.b o.a ../a ../../b ../it
    xs.[0] xs.[1].a xs.[²] o.[a] a/b ./a this.b ../this a/../b true false 0 1 -2.5 "s" 's' (a) ((a) (x=)
    @partial-block label []
"""
CALLS = [
    '"<\\"&"',
    "(upper b)",
    '(lookup o "a")',
    '(safe "<i>")',
    "(nope a)",
    "(count x=a y=b)",
    "(upper (upper b))",
]


def texts():
    return st.sampled_from(
        ["x", "<b>&", "\n", " ", "\n  ", "{{! c }}", "{{!-- {{a}} --}}", "\\{{a}}", "a\n"]
    )


def expressions():
    return st.sampled_from(PATHS.split() + CALLS)


def filled(pattern, *strategies):
    return st.tuples(*strategies).map(lambda parts: pattern.format(*parts))


def mustaches():
    one, two = [expressions()], [expressions(), expressions()]
    return st.one_of(
        filled("{{{{{}}}}}", *one),
        filled("{{{{{{{}}}}}}}", *one),
        filled("{{{{&{}}}}}", *one),
        filled("{{{{~{}~}}}}", *one),
        filled("{{{{upper {}}}}}", *one),
        filled("{{{{count {} x={}}}}}", *two),
        filled("{{{{safe {}}}}}", *one),
        filled('{{{{money {} "EUR"}}}}', *one),
        filled("{{{{lookup {} {}}}}}", *two),
        filled("{{{{> row}}}}"),
        filled("\n  {{{{> row {} label={}}}}}\n", *two),
        filled("{{{{> row label={}}}}}", *one),
        filled("{{{{> ({}) }}}}", *one),
        filled('{{{{> (lookup {} "a")}}}}', *one),
        st.sampled_from(["{{> p}}", "{{> nope}}", "{{> loop}}", "{{> empty}}", "{{@}}", "{{.5}}"]),
    )


def blocks(inner):
    one, two = [expressions(), inner], [expressions(), inner, inner]
    return st.one_of(
        st.lists(inner, max_size=4).map("".join),
        filled("{{{{#if {}}}}}{}{{{{else}}}}{}{{{{/if}}}}", *two),
        filled("{{{{#if {} includeZero=true}}}}{}{{{{/if}}}}", *one),
        filled("{{{{#if {}}}}}{}{{{{else if {}}}}}{}{{{{/if}}}}", *one, *one),
        filled("{{{{#if}}}}{}{{{{/if}}}}", inner),
        filled("{{{{#unless {}}}}}{}{{{{/unless}}}}", *one),
        filled("{{{{#each {}}}}}{}{{{{else}}}}{}{{{{/each}}}}", *two),
        filled("{{{{#each {} as |it i|}}}}{}{{{{/each}}}}", *one),
        filled("\n{{{{#each {}}}}}\n{}\n{{{{/each}}}}\n", *one),
        filled("{{{{#with {} as |it|}}}}{}{{{{else}}}}{}{{{{/with}}}}", *two),
        filled("{{{{#xs}}}}{}{{{{/xs}}}}", inner),
        filled("{{{{#a as |it|}}}}{}{{{{else}}}}{}{{{{/a}}}}", inner, inner),
        filled("{{{{^o}}}}{}{{{{/o}}}}", inner),
        filled("{{{{#ifeq {} {}}}}}{}{{{{else}}}}{}{{{{/ifeq}}}}", expressions(), *two),
        filled("{{{{#into {}}}}}{}{{{{/into}}}}", *one),
        filled("{{{{#loud}}}}{}{{{{/loud}}}}", inner),
        filled("{{{{#twice}}}}{}{{{{/twice}}}}", inner),
        filled("{{{{#upper {}}}}}{}{{{{/upper}}}}", *one),
        filled("{{{{#nope {}}}}}{}{{{{/nope}}}}", *one),
        filled("{{{{#> layout {}}}}}{}{{{{/layout}}}}", *one),
        filled("{{{{#> layout label={}}}}}{}{{{{/layout}}}}", *one),
        filled("{{{{#> nope}}}}{}{{{{/nope}}}}", inner),
        filled('{{{{#*inline "p"}}}}{}{{{{/inline}}}}', inner),
        filled("{{{{{{{{raw}}}}}}}}{}{{{{{{{{/raw}}}}}}}}", inner),
    )


NAMES = st.sampled_from(["a", "b", "xs", "o", "it", "label"])
PLAIN = st.sampled_from(
    [None, True, False, 0, 1, -2.5, 3.0, "", "s", "<'\n", "row", "\ue0000\ue001"]
)
DATA = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
CONTEXTS = st.fixed_dictionaries(
    {"a": DATA, "b": DATA, "xs": st.lists(DATA, max_size=3) | DATA, "o": DATA}
)
TEMPLATES = st.recursive(texts() | mustaches(), blocks, max_leaves=12)


def assert_same(source, context, *, partials, strict, escape_html):
    given_to_both = {
        "partials": partials,
        "helpers": HELPERS,
        "strict": strict,
        "escape": escape_html,
    }

    expected = rendered_by_library(source, context, **given_to_both)

    assert rendered_by_us(source, context, **given_to_both) == expected
    if escape_html:
        assert_outline_is(expected, source, context, given_to_both)


def assert_outline_is(expected, source, context, given):
    printed: list[str] = []
    try:
        outline = rendered_by_us(source, context, **given, printed=printed)
    except NoOutline:
        return
    assert MARK.sub(lambda mark: escape(printed[int(mark[1])]), outline) == expected


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


@pytest.mark.parametrize("escape_html", [True, False])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases_of_handlebars_js_come_out_as_by_the_library(case, strict, escape_html):
    assert_same(
        case["template"],
        case["context"],
        partials=case["partials"],
        strict=strict,
        escape_html=escape_html,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_templates_come_out_as_by_the_library_whatever_the_data_lacks(file):
    for data in without_each_key(dict(templates.sample(file.parent.name).data)):
        assert_same(
            file.read_text(),
            data,
            partials=SHARED,
            strict=True,
            escape_html=file.name.endswith(".html.hbs"),
        )


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEMPLATES, CONTEXTS, st.booleans(), st.booleans())
@example("{{#> layout}}{{/layout}}", {"a": 1}, True, True)
@example("{{#a as |it|}}{{it}}{{/a}}", {"a": True}, True, True)
@example("{{#each o}}{{@key}}{{@../index}}{{/each}}", {"o": {"b": 1}}, True, True)
@example(
    "{{#each xs}}{{#each this}}{{@../index}}{{../../a}}{{/each}}{{/each}}",
    {"xs": [[1]]},
    True,
    True,
)
@example("{{#each xs as |a|}}{{> row label=1}}{{/each}}", {"xs": ["x"]}, False, True)
@example('{{#if a}}{{#*inline "p"}}x{{/inline}}{{/if}}{{> p}}', {"a": 1}, True, True)
@example("{{#into o}}{{a}}{{/into}}", {"a": 1, "o": {"a": 2}}, True, True)
@example("{{#each xs as |a|}}{{a}}{{/each}}", {"xs": [{"a": 1}]}, True, True)
@example('{{"a"}}', {"a": 1}, True, True)
@example("{{a}}", {"a": len}, True, True)
@example("  {{> row label=a}}", {"a": "x\ny"}, True, True)
def test_any_template_comes_out_as_by_the_library(source, context, strict, escape_html):
    assert_same(source, context, partials=PARTIALS, strict=strict, escape_html=escape_html)


def test_partials_without_end_are_an_error_at_the_same_depth():
    for depth in range(95, 103):
        blocks = depth - 2
        source = "{{#if a}}" * blocks + "{{> row}}" + "{{/if}}" * blocks
        row = "{{#if a}}{{#if a}}x{{/if}}{{/if}}"
        assert_same(source, {"a": 1}, partials={"row": row}, strict=True, escape_html=True)


def outline(source, context):
    printed: list[str] = []
    text = rendered_by_us(
        source,
        context,
        partials=PARTIALS,
        helpers=HELPERS,
        strict=True,
        escape=True,
        printed=printed,
    )
    return text, printed


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


def test_recursion_is_what_it_is_called():
    context: dict[str, object] = {}
    context["xs"] = [context]

    assert outline("{{> loop}}", context)[0] == TOO_DEEP
