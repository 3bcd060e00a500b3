import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines
from django.test import override_settings
from django.utils.dateformat import format as date_format
from django.utils.timezone import localtime
from hypothesis import given, settings
from hypothesis.strategies import datetimes, integers, sampled_from, timezones

from emails.errors import RenderError
from emails.rendering import template_helpers
from emails.rendering.expressions import Options, no_block
from emails.rendering.handlebars import HandlebarsTemplates
from emails.rendering.parser import parse
from emails.rendering.sets import MAX_LIST_ITEMS, MAX_TEMPLATE_BYTES
from emails.rendering.syntax import BadTemplate
from emails.rendering.values import SafeString

CASES = json.loads(Path(__file__).with_name("handlebars_cases.json").read_text())

# The cases use two helpers that no email of ours may: one is never needed, the other lets HTML in data through.
HELPERS = {
    **template_helpers.HELPERS,
    "upper": lambda arguments, options: arguments[0].upper(),
    "safe": lambda arguments, options: SafeString(arguments[0]),
}


def make_engine(folder, *, strict=True, **files):
    for name, source in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    options = {"strict": strict, "builtins": __name__}
    return HandlebarsTemplates(
        {"NAME": "test", "DIRS": [folder], "APP_DIRS": False, "OPTIONS": options}
    )


def as_partials(partials):
    return {f"partials__{name}_hbs": source for name, source in partials.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_as_handlebars_js_does(case, tmp_path):
    engine = make_engine(tmp_path, strict=False, **as_partials(case["partials"]))

    try:
        answer = engine.from_string(case["template"]).render(case["context"])
    except (TemplateSyntaxError, RenderError):
        answer = None

    assert (answer is None) == case["is_error"]
    assert answer == case["expected"]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("{{nme}}", "nme"),
        ("{{{nme}}}", "nme"),
        ("{{customer.nme}}", "customer.nme"),
        ("{{customer.name.first}}", "customer.name.first"),
        ("{{custmer.name}}", "custmer.name"),
        ("{{lines.[7].name}}", "lines.[7].name"),
        ("{{#if nme}}{{/if}}", "nme"),
        ("{{#if customer.nme}}{{/if}}", "customer.nme"),
        ("{{#if customer.name.first}}{{/if}}", "customer.name.first"),
        ("{{#if total}}{{else if nme}}{{/if}}", "nme"),
        ("{{#unless nme}}{{/unless}}", "nme"),
        ("{{#each lnes}}{{/each}}", "lnes"),
        ("{{#each lines}}{{nme}}{{/each}}", "nme"),
        ("{{#each lines}}{{#if nme}}{{/if}}{{/each}}", "nme"),
        ("{{#each lines}}{{../nme}}{{/each}}", "../nme"),
        ("{{#each lines as |line|}}{{line.nme}}{{/each}}", "line.nme"),
        ("{{#with custmer}}{{/with}}", "custmer"),
        ("{{#nme}}{{/nme}}", "nme"),
        ("{{^nme}}{{/nme}}", "nme"),
        ('{{money totl "EUR"}}', "totl"),
        ("{{money total cur=currncy}}", "currncy"),
        ("{{upper (upper nme)}}", "nme"),
        ("{{#ifeq nme 1}}{{/ifeq}}", "nme"),
        ("{{> row}}", "label"),
        ("{{> row label=nme}}", "nme"),
        ("{{> row custmer}}", "custmer"),
        ('{{> row label="x"}}', "hint"),
        ("{{#> layout}}{{nme}}{{/layout}}", "nme"),
        ("{{@frist}}", "@frist"),
    ],
)
def test_strict_mode_names_whatever_the_data_lacks(source, missing, tmp_path):
    partials = {"row": "{{label}}{{#if hint}}!{{/if}}", "layout": "<{{> @partial-block}}>"}
    engine = make_engine(tmp_path, welcome_html_hbs=source, **as_partials(partials))
    context = {"customer": {"name": "Ada"}, "lines": [{"name": "Mug"}], "total": 0}

    with pytest.raises(RenderError) as raised:
        engine.get_template("welcome.html.hbs").render(context)

    assert str(raised.value) == f"welcome.html.hbs: the data has no {missing}"


def test_strict_mode_takes_null_for_a_value(tmp_path):
    template = make_engine(tmp_path).from_string("[{{note}}]{{#if note}}yes{{else}}no{{/if}}")

    assert template.render({"note": None}) == "[]no"


@pytest.mark.parametrize(
    ("gift", "expected"), [({}, "none"), ({"note": "Hi"}, "Hi"), (None, "none"), ("?", "none")]
)
def test_lookup_asks_for_what_may_be_absent(gift, expected, tmp_path):
    source = '{{#if (lookup gift "note")}}{{gift.note}}{{else}}none{{/if}}'

    assert make_engine(tmp_path).from_string(source).render({"gift": gift}) == expected


@pytest.mark.parametrize(("index", "expected"), [(1, "b"), (2, ""), (-1, "")])
def test_lookup_reads_lists(index, expected, tmp_path):
    template = make_engine(tmp_path).from_string("{{lookup xs index}}")

    assert template.render({"xs": ["a", "b"], "index": index}) == expected


@pytest.mark.parametrize(
    "text", ["{{settings.SECRET_KEY}}", "{{> layout}}", "{% debug %}", "{{{constructor}}}"]
)
def test_data_is_never_compiled(text, tmp_path):
    engine = make_engine(tmp_path, note_txt_hbs="{{name}}", partials__layout_hbs="secret")

    assert engine.get_template("note.txt.hbs").render({"name": text}) == text


def test_only_html_files_escape(tmp_path):
    engine = make_engine(tmp_path, a_html_hbs="{{name}}", a_txt_hbs="{{name}}")

    assert engine.get_template("a.html.hbs").render({"name": "O'Hara"}) == "O&#x27;Hara"
    assert engine.get_template("a.txt.hbs").render({"name": "O'Hara"}) == "O'Hara"
    assert engine.from_string("{{name}}").render({"name": "O'Hara"}) == "O&#x27;Hara"


@pytest.mark.parametrize("name", ["nothing.hbs", "../secret.hbs", "/etc/passwd", ""])
def test_template_that_is_not_in_its_folder_does_not_exist(name, tmp_path):
    (tmp_path / "secret.hbs").write_text("secret")
    (tmp_path / "emails").mkdir()

    with pytest.raises(TemplateDoesNotExist):
        make_engine(tmp_path / "emails").get_template(name)


@pytest.mark.parametrize("source", ["{{#if x}}", "{{x", "{{/}}", "{{#*inline}}{{/inline}}", "{{}}"])
def test_broken_template_is_a_syntax_error_that_names_it(source, tmp_path):
    engine = make_engine(tmp_path, broken_hbs=source)

    with pytest.raises(TemplateSyntaxError, match="broken.hbs: "):
        engine.get_template("broken.hbs")


def test_broken_partial_is_a_syntax_error_that_names_it(tmp_path):
    engine = make_engine(tmp_path, good_hbs="good", partials__bad_hbs="{{#if x}}")

    with pytest.raises(
        TemplateSyntaxError, match="bad.hbs: line 1, column 10: a block is never closed"
    ):
        engine.get_template("good.hbs")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{nope 1}}", 'line 1, column 3: Missing helper: "nope"'),
        ("a\n {{#if}}{{/if}}", "line 2, column 5: #if requires exactly one argument"),
        ("{{#if a}}{{/with}}", "line 1, column 13: if doesn't match with"),
        ("{{#with a}}{{else each}}{{/with}}", "line 1, column 19: #each requires exactly one"),
        ("{{if a}}", "line 1, column 3: #if is a block"),
        ("{{* deco}}", "line 1, column 5: decorators are not supported"),
        ("{{#*inline p}}{{/inline}}", "column 5: an inline partial needs its name in quotes"),
        ("{{else}}", "line 1, column 1: '{{else}}' is not expected here"),
        ("{{log a}}", 'line 1, column 3: Missing helper: "log"'),
        ("{{> p a b}}", "line 1, column 7: unsupported number of partial arguments: 2"),
        ("{{a.[]}}", "line 1, column 3: an empty name"),
        ("{{.5}}", "line 1, column 3: '.' is not expected here"),
        ("{{!-- never", "line 1, column 1: a comment is never closed"),
        ("{{{{raw}}}} {{x}}", "a raw block is never closed"),
        ("{{" + "upper (" * 101 + "a" + ")" * 101 + "}}", "more than 100 brackets in each other"),
    ],
)
def test_what_cannot_work_is_refused_with_line_and_column(source, problem, tmp_path):
    with pytest.raises(TemplateSyntaxError) as raised:
        make_engine(tmp_path).from_string(source)

    assert problem in str(raised.value)


# What handlebars.js 4.7.9 prints.
@pytest.mark.parametrize(
    ("source", "data", "right"),
    [
        ("{{#if a}}A{{else with o}}{{v}}{{/if}}", {"a": 0, "o": {"v": 3}}, "3"),
        ("{{#each xs}}x{{else with d}}{{m}}{{/each}}", {"xs": [], "d": {"m": "none"}}, "none"),
        ("{{#if a}}A{{else ifeq b 1}}one{{else}}other{{/if}}", {"a": 0, "b": 1}, "one"),
        ("{{#unless xs.length}}none{{else}}some{{/unless}}", {"xs": [0]}, "some"),
        ("{{lookup o 10}}", {"o": {"10": "ten"}}, "ten"),
        ("{{a}}", {"a": 0.00001}, "0.00001"),
        ("{{money c cur = 'USD'}}", {"c": 5}, "0.05 USD"),
        ("{{#unless a}}A{{else each xs}}{{this}}{{/unless}}", {"a": 1, "xs": [1, 2]}, "12"),
        ("{{#if a}}x{{^}}y{{/if}}", {"a": 0}, "y"),
        ("{{xs.length}}", {"xs": [1, 2, 3]}, "3"),
        ("{{#if xs.length}}some{{else}}none{{/if}}", {"xs": [1]}, "some"),
        ("{{#ifeq x null}}n{{else}}v{{/ifeq}}", {"x": None}, "n"),
        ("{{lookup xs '1'}}", {"xs": ["a", "b"]}, "b"),
        ("{{a}}", {"a": 1e21}, "1e+21"),
        ("{{a}}", {"a": 1e-7}, "1e-7"),
        ("{{a}}", {"a": -0.0}, "0"),
        ("{{a}}", {"a": 2**53 + 1}, "9007199254740992"),
        ("{{a}}", {"a": 123456789012345680000}, "123456789012345680000"),
        ("{{a.length}}", {"a": "a𝒳"}, "3"),
        ("{{#ifeq a 1.0}}same{{/ifeq}}", {"a": 1}, "same"),
        ("{{#each o}}{{@key}}{{/each}}", {"o": {"b": 1, "10": 1, "9": 1}}, "910b"),
        ("{{#each xs as |x i|}}{{i}}{{x}}{{/each}}", {"xs": ["a", "b"]}, "0a1b"),
        ("{{#with o}}{{#with this}}{{../a}}{{/with}}{{/with}}", {"a": 1, "o": {}}, "1"),
        ('{{#*inline "p"}}{{a}}{{/inline}}{{> p a="x"}}{{> p}}', {"a": 1}, "x1"),
        ('{{> p}}{{#*inline "p"}}later{{/inline}}', {}, "later"),
        ("{{#xs}}{{.}},{{/xs}}", {"xs": [1, 2]}, "1,2,"),
        ("a\n  {{#if b}}\n  c\n  {{else}}\n  d\n  {{/if}}\ne", {"b": 1}, "a\n  c\ne"),
        ("{{{{raw}}}} {{x}} {{{{/raw}}}}", {}, " {{x}} "),
        ("{{[a b]}}{{dashed-name}}{{é}}", {"a b": 1, "dashed-name": 2, "é": 3}, "123"),
    ],
)
def test_prints_what_handlebars_js_prints(source, data, right, tmp_path):
    assert make_engine(tmp_path).from_string(source).render(data) == right


def test_block_of_a_partial_may_define_inline_partials(tmp_path):
    engine = make_engine(tmp_path, partials__layout_hbs="[{{> preheader}}{{> @partial-block}}]")

    source = '{{#> layout}}{{#*inline "preheader"}}PRE{{/inline}}<p>x</p>{{/layout}}'

    assert engine.from_string(source).render({}) == "[PRE<p>x</p>]"


@pytest.mark.parametrize("source", ["{{o}}", "{{{o}}}", "{{xs}}", "{{#with o}}{{this}}{{/with}}"])
def test_strict_mode_never_prints_an_object(source, tmp_path):
    template = make_engine(tmp_path).from_string(source)

    with pytest.raises(RenderError, match="is an object, not a text"):
        template.render({"o": {"a": 1}, "xs": [{}]})


def test_bytes_that_are_no_text_are_a_syntax_error(tmp_path):
    (tmp_path / "latin.hbs").write_bytes(b"caf\xe9")

    with pytest.raises(TemplateSyntaxError, match="latin.hbs: not UTF-8"):
        make_engine(tmp_path).get_template("latin.hbs")


def test_template_larger_than_the_limit_is_refused(tmp_path):
    engine = make_engine(tmp_path)
    engine.from_string("é" * (MAX_TEMPLATE_BYTES // 2))

    with pytest.raises(TemplateSyntaxError, match="larger than"):
        engine.from_string("é" * (MAX_TEMPLATE_BYTES // 2) + "x")


def test_template_nested_too_deeply_is_a_syntax_error(tmp_path):
    with pytest.raises(TemplateSyntaxError, match="depth"):
        make_engine(tmp_path).from_string("{{#if x}}" * 5000 + "{{/if}}" * 5000)


def test_list_longer_than_the_limit_is_refused_wherever_it_is(tmp_path):
    template = make_engine(tmp_path).from_string("{{#each a.b}}x{{/each}}")
    assert template.render({"a": {"b": [1] * MAX_LIST_ITEMS}}) == "x" * MAX_LIST_ITEMS

    with pytest.raises(RenderError, match="a list of 1001 items"):
        template.render({"a": {"b": [1] * (MAX_LIST_ITEMS + 1)}})


def test_data_nested_without_end_is_an_error(tmp_path):
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(RenderError, match="nested too deeply"):
        make_engine(tmp_path).from_string("x").render({"loop": loop})


@pytest.mark.parametrize(
    "source", ["{{upper 1}}", "{{money}}", "{{lookup m}}", "{{> nope}}", "{{ifeq 1 1}}", "{{m}}"]
)
def test_whatever_goes_wrong_in_a_helper_is_a_render_error(source, tmp_path):
    template = make_engine(tmp_path).from_string(source)

    with pytest.raises(RenderError, match="<string>: "):
        template.render({"m": {}})


def test_file_is_read_once(tmp_path, settings):
    settings.DEBUG = False
    engine = make_engine(tmp_path, a_hbs="old")
    engine.get_template("a.hbs")

    (tmp_path / "a.hbs").write_text("new")

    assert engine.get_template("a.hbs").render() == "old"


def test_changed_partial_is_read_again_in_debug(tmp_path, settings):
    settings.DEBUG = True
    engine = make_engine(tmp_path, a_hbs="{{> b}}", partials__b_hbs="old")
    assert engine.get_template("a.hbs").render() == "old"

    (tmp_path / "partials" / "b.hbs").write_text("new")
    os.utime(tmp_path / "partials" / "b.hbs", ns=(1, 1))

    assert engine.get_template("a.hbs").render() == "new"


def test_first_directory_wins(tmp_path):
    make_engine(tmp_path / "b", a_hbs="{{> p}}", partials__p_hbs="second")
    engine = make_engine(tmp_path / "a", partials__p_hbs="first")
    engine.dirs.append(tmp_path / "b")

    assert engine.get_template("a.hbs").render() == "first"


def test_threads_share_one_template(tmp_path):
    engine = make_engine(
        tmp_path,
        a_hbs='{{#*inline "p"}}{{n}}{{/inline}}{{#each xs}}{{> p}}{{> row}}{{/each}}',
        partials__row_hbs="{{n}};",
    )

    def render(number):
        return engine.get_template("a.hbs").render({"xs": [{"n": number}] * 20})

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(render, range(200)))

    assert answers == [f"{number}{number};" * 20 for number in range(200)]


def test_unknown_option_is_refused(tmp_path):
    options = {"builtins": "emails.rendering.template_helpers", "strickt": True}

    with pytest.raises(ImproperlyConfigured, match="strickt"):
        HandlebarsTemplates({"NAME": "x", "DIRS": [], "APP_DIRS": False, "OPTIONS": options})


def test_settings_have_the_engine_in_strict_mode():
    with pytest.raises(RenderError, match="the data has no name"):
        engines["handlebars"].from_string("{{#if name}}{{/if}}").render({})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{{money 15000 "USD"}}', "$150.00"),
        ('{{money 125000 "EUR"}}', "€1,250.00"),
        ('{{money 999 "GBP"}}', "£9.99"),
        ('{{money -5 "USD"}}', "-$0.05"),
        ('{{money 0 "CHF"}}', "CHF 0.00"),
        ('{{money 90071992547409931 "USD"}}', "$900,719,925,474,099.31"),
        ('{{money 125000 cur="EUR"}}', "1,250.00 EUR"),
        ('{{date "2026-11-22T10:00:00Z"}}', "22 November 2026"),
        ('{{datetime "2026-11-22T10:00:00Z"}}', "22 November 2026, 10:00 UTC"),
        ('{{datetime "2026-11-22T01:30:00.123456+02:00"}}', "21 November 2026, 23:30 UTC"),
        ('{{{link "https://a.example/?b=c"}}}', "https://a.example/?b=c"),
        ('{{#ifeq "a" "a"}}same{{else}}other{{/ifeq}}', "same"),
        ('{{#ifeq 1 "1"}}same{{else}}other{{/ifeq}}', "other"),
        ("{{#ifeq 1 true}}same{{else}}other{{/ifeq}}", "other"),
    ],
)
def test_helpers_write_for_people(source, expected, tmp_path):
    assert make_engine(tmp_path).from_string(source).render({}) == expected


@settings(deadline=None, max_examples=30)
@given(
    datetimes(datetime(1000, 1, 2), timezones=timezones()),
    sampled_from(["UTC", "Asia/Kathmandu", "America/Lima"]),
)
def test_times_are_written_as_django_writes_them(moment, zone):
    options = Options({}, no_block, no_block)

    with override_settings(TIME_ZONE=zone):
        try:
            local = localtime(moment)
        except OverflowError:
            return
        written = [
            helper([moment.isoformat()], options, "en")
            for helper in (template_helpers.date, template_helpers.datetime_)
        ]

    assert written == [date_format(local, "j F Y"), date_format(local, "j F Y, H:i T")]


@given(integers(-(10**20), 10**20))
def test_money_is_exact_however_much_it_is(cents):
    options = Options({}, no_block, no_block)

    written = template_helpers.money([cents, "CHF"], options, "en")

    assert written == f"{'-' * (cents < 0)}CHF {Decimal(abs(cents)).scaleb(-2):,.2f}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('{{money 1.5 "USD"}}', "money: 1.5 is not a whole number of cents"),
        ('{{money "15000" "USD"}}', "money: '15000' is not a whole number of cents"),
        ('{{money true "USD"}}', "money: True is not a whole number of cents"),
        ('{{money null "USD"}}', "money: None is not a whole number of cents"),
        ('{{money 1 "dollars"}}', "money: 'dollars' is not a currency code"),
        ('{{money 1 "USDX"}}', "money: 'USDX' is not a currency code"),
        ("{{money 1}}", "money: None is not a currency code"),
        ("{{money 1 cur=1}}", "money: 1 is not a currency code"),
        ('{{date "yesterday"}}', "date: 'yesterday' is not an ISO 8601 time with its zone"),
        ('{{datetime "2026-11-22T10:00"}}', "is not an ISO 8601 time with its zone"),
        ('{{datetime "9999-12-31T23:59:59-05:00"}}', "is not an ISO 8601 time with its zone"),
        ("{{datetime 20261122}}", "is not an ISO 8601 time with its zone"),
        ('{{link "javascript:alert(1)"}}', "is not an http or https address"),
        ('{{link "https://a.example\n/"}}', "is not an http or https address"),
        ('{{link "https://shop.example.com@evil.example.net/"}}', "is not an http or https"),
        ('{{link "https://evil.example.net\\\\@shop.example.com/"}}', "is not an http or https"),
        ("{{link null}}", "is not an http or https address"),
    ],
)
def test_helpers_refuse_rubbish(source, reason, tmp_path):
    with pytest.raises(RenderError, match=f"<string>: .*{reason}"):
        make_engine(tmp_path).from_string(source).render({"null": None})


def test_parser_says_where_a_text_and_a_mistake_stand():
    block: Any = parse("one\n{{#if x}}\n  two\n{{/if}}").nodes[1]

    assert block.body.nodes[0].at == len("one\n{{#if x}}")
    with pytest.raises(BadTemplate) as raised:
        parse("a\n {{#if x}}{{/each}}")
    assert raised.value.place == (2, 14)
    assert raised.value.problem == "if doesn't match each"
