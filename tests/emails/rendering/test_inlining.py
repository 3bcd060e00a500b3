import copy

import pytest
from django.template import engines
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emails.rendering import inlining, templates
from emails.rendering.mime import LONGEST_LINE, Html

STYLE = "<style>p {color: red} .big {color: blue} td + td {margin: 0} :empty {top: 0}</style>"
HOSTILE = """<script>alert("1")</script> &amp; 'x' --> </p></td></style>`={{a}}\xa0\u2028é日"""
NAMES = templates.names()
FRAME = templates.frame(
    templates.Letterhead(
        name="Smith & Sons",
        mark="&",
        colour="teal",
        footer='1 O\'Hara "Road"',
        support="help@example.com",
    )
)


def template_of(source):
    return engines["handlebars"].from_string(source)


def whole_and_by_outline(template, data):
    """The inlined email, made the long way and the short way; None where there is no short one."""
    outline = template.outline(data, data=FRAME)
    short = None if outline is None else inlining.inline_outline(outline)
    if isinstance(short, Html):
        assert short.content.decode() == short.replace("\n", "\r\n")
        assert max(map(len, short.content.split(b"\r\n"))) <= LONGEST_LINE
    return inlining.inline(template.render(data, data=FRAME)), short


def is_too_long(template, data):
    outline = template.outline(data, data=FRAME)
    return outline is not None and len(outline.text) > inlining.MAX_OUTLINE_LENGTH


def with_other_texts(value, text):
    if isinstance(value, dict):
        return {key: with_other_texts(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [with_other_texts(item, text) for item in value]
    return text if isinstance(value, str) and is_free(value) else value


def is_free(text):
    """True if the text may be anything: no time, web address or currency."""
    return ":" not in text and not (len(text) == 3 and text.isupper())


def data_of(name):
    """The sample, and what else can stand in an event of its kind."""
    data = copy.deepcopy(dict(templates.sample(name).data))
    yield data
    for text in ("", " ", "\n", HOSTILE, "O'Hara", "amp;", "x" * 1000):
        yield with_other_texts(data, text)
    for key, value in data.items():
        if isinstance(value, list):
            yield from ({**data, key: (value * 30)[:count]} for count in (0, 1, 2, 30))


@pytest.mark.parametrize(
    ("name", "language"),
    [
        *((name, "") for name in NAMES),
        *((name, each) for name in NAMES for each in templates.of_code(name).languages),
    ],
)
def test_every_template_is_inlined_by_its_outline_to_the_byte(name, language):
    template = templates.engine().get_template(f"{name}/{language}/body.html.hbs")
    checked = 0

    for data in data_of(name):
        whole, short = whole_and_by_outline(template, data)
        if not is_too_long(template, data):
            assert short == whole
            checked += 1

    assert checked >= 8


@pytest.mark.parametrize(
    ("value", "has_bytes"),
    [("O'Hara & <Sons> é", True), ("x" * 900, True), ("x" * 996, False), ("é" * 500, False)],
)
def test_short_lines_are_bytes_already(value, has_bytes):
    template = template_of("<p>\n{{a}}<br>\n{{a}}</p>\n")

    _, short = whole_and_by_outline(template, {"a": value})

    assert isinstance(short, Html) == has_bytes


def test_emails_of_one_shape_are_parsed_once():
    template = template_of(f"{STYLE}{{{{#each xs}}}}<p>once {{{{this}}}}</p>{{{{/each}}}}")
    whole_and_by_outline(template, {"xs": ["a", "b"]})
    before = inlining._shape.cache_info()

    _, short = whole_and_by_outline(template, {"xs": ["<c>", "d"]})

    after = inlining._shape.cache_info()
    assert '<p style="color: red;">once &lt;c&gt;</p>' in short
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


@pytest.mark.parametrize(
    "source",
    [
        '<p class="{{a}}">x</p>',
        '<p id="{{a}}">x</p>',
        '<p style="{{a}}">x</p>',
        '<p class="a {{a}}">x</p>',
        "<a href={{a}}>x</a>",
        "<p {{a}}>x</p>",
        "<{{a}}>x",
        "<table>{{a}}<tr><td>x</td></tr></table>",
        "<table><tr>{{a}}<td>x</td></tr></table>",
        "<html><head>{{a}}</head><body>x</body></html>",
        "<pre>{{a}}</pre>",
        "<!-- {{a}} -->",
        "<!-- {{a}} --><p title='x'>",
        "<style>p {color: {{a}} }</style><p>x</p>",
        "<style>.{{a}} {color: red}</style><p class='big'>x</p>",
        "<style>@media print {.{{a}} {color: red}}</style><p class='big'>x</p>",
        '<style>[title="big"] {color: red}</style><p title="{{a}}">x</p>',
        '<style>p:lang(big) {color: red}</style><p lang="{{a}}">x</p>',
        "<style>p:empty {color: red}</style><p>{{a}}</p>",
        "<script>{{a}}</script>",
        "<p>&{{a}}</p>",
        "<p>&am{{a}}</p>",
        "<p>&#{{a}}</p>",
        "<p><b>x</p>{{a}}",
        "<p>\x0b{{a}}</p>",
        "<p>\ue000{{a}}</p>",
        '<link rel="stylesheet" href="{{a}}"><p>x</p>',
    ],
)
def test_outline_does_not_serve_where_its_values_could_change_the_rest(source):
    template = template_of(f"<style>.big, #big {{color: blue}}</style>{source}")

    for value in ("big", "", " ", "\n", "lt;", "65", "x='1'", HOSTILE):
        whole, short = whole_and_by_outline(template, {"a": value})
        assert short in (None, whole)


@pytest.mark.parametrize(
    "source",
    [
        "<p>\x0b{{a}}</p>",
        '<p class="{{a}}">x</p>',
        "<table>{{a}}</table>",
        "<!-- {{a}} -->",
        "<p>&{{a}}</p>",
    ],
)
def test_email_without_a_shape_is_inlined_whole(source):
    whole, short = whole_and_by_outline(template_of(f"{STYLE}{source}"), {"a": "big"})

    assert short is None
    assert "<html>" in whole


@pytest.mark.parametrize(
    "value", ["\r\n", "a\rb", "\ufeff", "\x00", "\x0b", "\ue0000\ue001", "\ud800"]
)
def test_rare_characters_go_the_long_way(value):
    outline = template_of("<p>{{a}}</p>").outline({"a": value})

    assert inlining.inline_outline(outline) is None


def test_long_email_is_not_kept():
    template = template_of("<p>{{a}}</p>" + "x" * inlining.MAX_OUTLINE_LENGTH)

    assert inlining.inline_outline(template.outline({"a": 1})) is None


TAGS = [
    "p",
    "b",
    "a",
    "td",
    "tr",
    "table",
    "div",
    "li",
    "pre",
    "h1",
    "br",
    "title",
    "select",
    "option",
]
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS]),
    st.sampled_from([f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        [
            "{{a}}",
            "{{b}}",
            '<a href="{{a}}">',
            '<td title="x{{a}}{{b}}">',
            '<p class="{{b}}">',
            '<p class="big">',
            "<!--{{a}}-->",
            "{{#each xs}}<td>{{this}}</td>{{/each}}",
            "{{#if a}}<p>{{a}}{{else}}</p>{{/if}}",
            "<!--[if mso]>",
            "<![endif]-->",
            "&",
            "x",
            " ",
            "\n",
            "</body>",
            "<head>",
            "<textarea>",
            "</textarea>",
            "<svg>",
        ]
    ),
)
TEXTS = st.sampled_from(["", " ", "\n", "x", "big", "lt;", "<&>\"'", "\xa0", "-", HOSTILE])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=14).map("".join), TEXTS, TEXTS, st.lists(TEXTS, max_size=2))
@example("<p><b></p>{{a}}{{b}}", "", "x", [])
@example("<table><tr><td>{{a}}</td></tr>{{b}}</table>", "x", "y", [])
def test_outline_never_makes_another_email(source, a, b, xs):
    whole, short = whole_and_by_outline(template_of(STYLE + source), {"a": a, "b": b, "xs": xs})

    assert short in (None, whole)
