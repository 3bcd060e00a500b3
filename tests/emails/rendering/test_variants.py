"""A template in several languages: which variant an email gets, and those that we ship."""

import re

import pytest

from emails.rendering import languages, templates

NAMES = templates.names()
HEAD = templates.Letterhead("Shop", mark="S", support="help@example.com", footer="1 Road")
# Emails to customers have a variant in German, and the two that most customers get one in Arabic.
SHIPPED = {
    "order_confirmation": {"ar", "de"},
    "sign_in_link": {"de"},
    "transaction_alert": {"ar", "de"},
    "verify_email": {"de"},
}
VARIANTS = [(name, each) for name in SHIPPED for each in sorted(SHIPPED[name])]
WELCOME = {
    "subject.hbs": "Welcome",
    "body.html.hbs": '<p dir="{{@dir}}" lang="{{@language}}">{{money 125000 "EUR"}}</p>',
    "de/subject.hbs": "Willkommen",
    "de/body.html.hbs": "<p>{{@language}} {{@locale}} {{date at}}</p>",
    "ar/subject.hbs": 'مرحبا {{money 125000 "USD"}}',
    "ar/body.html.hbs": '<p dir="{{@dir}}" lang="{{@language}}">{{> rest}}</p>',
    "fr/subject.hbs": "Bienvenue",
    "partials/rest.hbs": "rest",
}
AT = "2026-01-22T10:00:00Z"


def rendered(name, locale, **changes):
    data = {**templates.sample(name).data, "locale": locale, **changes}
    return templates.of_code(name).render(data, HEAD)


def welcome(**data):
    return templates.of_sources("welcome", WELCOME).render({"at": AT, **data}, HEAD)


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("de-AT", "Willkommen"),
        ("DE", "Willkommen"),
        ("en-GB", "Welcome"),
        ("", "Welcome"),
        (None, "Welcome"),
        (["de"], "Welcome"),
        ("de" * 10_000, "Welcome"),
        # Without its HTML part a variant cannot be rendered; publishing refuses it.
        ("fr", "Welcome"),
        ("partials", "Welcome"),
    ],
)
def test_locale_of_the_data_chooses_the_variant(locale, subject):
    assert welcome(locale=locale).subject == subject


def test_data_without_a_locale_is_rendered_in_the_base_language():
    assert welcome().html == '<p dir="ltr" lang="en">€1,250.00</p>'.join(
        re.split("<p.*</p>", welcome().html)
    )


def test_variant_knows_its_language_and_the_locale_of_its_customer():
    assert "<p>de de-AT 22. Jänner 2026</p>" in welcome(locale="de-AT").html
    assert '<p dir="rtl" lang="ar">rest</p>' in welcome(locale="ar-EG").html


def test_subject_keeps_the_marks_around_an_amount():
    amount = "\u2068\u200f1,250.00 US$\u200e\u2069"

    assert welcome(locale="ar").subject == f"مرحبا {amount}"


def test_files_that_lack_a_part_of_a_language_are_named():
    assert languages.missing(WELCOME) == ["fr/body.html.hbs"]


@pytest.mark.parametrize("name", NAMES)
def test_every_language_has_every_file_of_the_base(name):
    assert languages.missing(templates.sources(name)) == []
    assert languages.misnamed(templates.sources(name)) == []
    assert templates.of_code(name).languages == SHIPPED.get(name, set())


@pytest.mark.parametrize(("name", "language"), VARIANTS)
def test_variant_has_the_same_facts_and_no_english(name, language):
    base, email = rendered(name, ""), rendered(name, language)

    for part in (email.html, email.text):
        for word in ("Questions", " you ", " your ", "Total", "receiving"):
            assert word not in part
    assert re.findall(r'href="([^"]*)"', email.html) == re.findall(r'href="([^"]*)"', base.html)
    assert email.html.count("ses:no-track") == base.html.count("ses:no-track")
    for fact in ("Ada Lovelace", "help@example.com", "1 Road"):
        for part in (email.html, email.text):
            assert part.count(fact) == base.text.count(fact) or part is email.html


@pytest.mark.parametrize("name", ["order_confirmation", "transaction_alert"])
def test_arabic_email_is_written_from_right_to_left(name):
    html = rendered(name, "ar-EG").html

    assert '<html lang="ar" dir="rtl"' in html
    assert re.search('<table [^>]*class="page"[^>]* lang="ar" dir="rtl"', html)
    assert "padding-right: 11px" in html
    assert "letter-spacing: -" not in html


def test_amounts_of_a_right_to_left_email_stand_on_the_other_side():
    assert "text-align: left" in rendered("order_confirmation", "ar").html
    assert "text-align: left" not in rendered("order_confirmation", "de").html


@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
@pytest.mark.parametrize("language", ["ar", "de"])
def test_transaction_alert_says_its_sentence_in_one_piece(kind, language):
    email = rendered("transaction_alert", language, kind=kind)
    sentence = {
        ("ar", "deposit"): "أُودِع مبلغ \u2068\u200f150.00\xa0US$\u200e\u2069 في حسابك.",
        ("ar", "withdrawal"): "سُحِب مبلغ \u2068\u200f150.00\xa0US$\u200e\u2069 من حسابك.",
        ("de", "deposit"): "150,00\xa0$ wurden Ihrem Konto gutgeschrieben.",
        ("de", "withdrawal"): "150,00\xa0$ wurden von Ihrem Konto abgebucht.",
    }[language, kind]

    assert sentence.replace("\xa0", "&nbsp;") in email.html
    assert sentence in email.text
