"""What an email needs of a language: its variant, its direction, and how it writes money, numbers and times."""

from decimal import Decimal

import pytest
from babel import Locale, numbers
from hypothesis import given
from hypothesis import strategies as st

from emails.errors import RenderError
from emails.rendering import cldr, languages, templates
from queues.events import locales

# ISO 4217, table A.1: the currencies in use, by the decimals of their smallest unit.
ISO_4217 = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
       AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
       CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
       IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
       MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
       SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER
       ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
CURRENCIES = [(code, decimals) for decimals, codes in ISO_4217.items() for code in codes.split()]
NBSP, LRM, RLM = "\xa0", "\u200e", "\u200f"


def render(source, locale, **context):
    return templates.engine().from_string(source).render(context, data={"locale": locale})


@pytest.mark.parametrize(("currency", "decimals"), CURRENCIES)
def test_every_currency_has_its_own_decimals(currency, decimals):
    assert cldr.decimals(currency) == decimals
    for locale in ("en", "de-AT", "ar-EG", "hi"):
        written = cldr.money(123_456_789, currency, locale, is_by_code=True)

        digits = written.removesuffix(LRM).removesuffix(f" {currency}")
        point = numbers.get_decimal_symbol(Locale.parse(locale, sep="-"))
        assert len(digits.partition(point)[2]) == decimals
        assert "".join(filter(str.isdigit, digits)) == "123456789"


# Babel's own answer, for the currencies whose smallest unit CLDR writes.
@pytest.mark.parametrize("locale", ["en", "en-IN", "de", "de-AT", "fr", "es", "ar", "hi", "pl"])
@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP", "JPY", "KWD", "INR", "CLF"])
def test_amounts_are_written_as_babel_writes_them(locale, currency):
    known = Locale.parse(locale, sep="-")
    for units in (0, 5, -5, 99_999, 1_234_567_890, -(10**15)):
        amount = Decimal(units).scaleb(-cldr.decimals(currency))

        written = cldr.money(units, currency, locale)

        babels = numbers.format_currency(amount, currency, locale=known)
        assert written.replace(" ", "").removesuffix(LRM) == babels


@pytest.mark.parametrize(
    ("locale", "source", "written"),
    [
        ("en", '{{money 1250 "JPY"}}', "¥1,250"),
        ("en", '{{money 1250 "KWD"}}', "KWD 1.250"),
        ("en-GB", '{{money 125000 "USD"}}', "US$1,250.00"),
        ("de", '{{money 125000 "EUR"}}', f"1.250,00{NBSP}€"),
        ("de", '{{money 125000 cur="EUR"}}', "1.250,00 EUR"),
        ("de-AT", '{{money 125000 "EUR"}}', f"€{NBSP}1.250,00"),
        ("en-IN", '{{money 12345678900 "INR"}}', "₹12,34,56,789.00"),
        ("de", "{{number 1234567.25}}", "1.234.567,25"),
        ("en", "{{number 1250}}", "1,250"),
        ("en-US", '{{date "2026-11-22T10:00:00Z"}}', "November 22, 2026"),
        ("de", '{{date "2026-11-22T10:00:00Z"}}', "22. November 2026"),
        ("de-AT", '{{date "2026-01-22T10:00:00Z"}}', "22. Jänner 2026"),
        ("de", '{{datetime "2026-11-22T10:00:00Z"}}', "22. November 2026, 10:00 UTC"),
        # What has right-to-left characters is isolated from the text around it.
        ("ar", '{{money 125000 "EUR"}}', f"\u2068{RLM}1,250.00{NBSP}€\u2069"),
        ("ar", '{{money 125000 "USD"}}', f"\u2068{RLM}1,250.00{NBSP}US${LRM}\u2069"),
        ("ar", '{{date "2026-11-22T10:00:00Z"}}', "\u206822 نوفمبر 2026\u2069"),
        # No such language: English.
        ("tlh", '{{money 125000 "EUR"}}', "€1,250.00"),
        ("not a language", '{{money 125000 "EUR"}}', "€1,250.00"),
    ],
)
def test_helpers_write_for_the_locale_of_the_email(locale, source, written):
    assert render(source, locale) == written


def test_times_have_the_zone_that_the_language_knows(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    assert render("{{datetime at}}", "de", at="2026-01-22T10:00:00Z").endswith("11:00 MEZ")
    assert render("{{datetime at}}", "de", at="2026-07-22T10:00:00Z").endswith("12:00 MESZ")
    assert render("{{datetime at}}", "en", at="2026-07-22T10:00:00Z").endswith("12:00 CEST")


@pytest.mark.parametrize("currency", ["XAU", "XXX", "USDX", "usd", "ZZZ", ""])
def test_what_is_no_currency_with_a_smallest_unit_is_refused(currency):
    with pytest.raises(RenderError, match=f"money: '{currency}' is not a currency code"):
        render("{{money 1 currency}}", "en", currency=currency)


@pytest.mark.parametrize("value", ["'1'", "true", "null"])
def test_number_refuses_what_is_none(value):
    with pytest.raises(RenderError, match="is not a number"):
        render(f"{{{{number {value}}}}}", "en")


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ("DE-at", "de-AT"),
        ("EN", "en"),
        ("zh-hANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-ROZAJ-biske", "sl-rozaj-biske"),
        ("de-ch-1996", "de-CH-1996"),
        ("AR-eg-U-NU-Latn", "ar-EG-u-nu-latn"),
    ],
)
def test_tags_have_a_canonical_case(tag, right):
    assert locales.canonical(tag) == right
    assert locales.canonical(right) == right


@pytest.mark.parametrize(
    "tag", ["", "e", "english", "de_AT", "de-", "-de", "de AT", "de\n", "../de", "de-" + "a" * 40]
)
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is not a language tag"):
        locales.canonical(tag)
    assert languages.chain(tag) == ()


@given(st.text() | st.from_regex(locales.TAG, fullmatch=True))
def test_any_locale_has_a_voice_and_a_form(tag):
    voice = languages.voice(tag, frozenset({"de", "ar"}))

    assert voice.folder in ("", "de", "ar")
    assert cldr.money(5, "EUR", voice.locale)


@pytest.mark.parametrize(
    ("tag", "folder", "locale"),
    [
        ("ar-EG", "ar", "ar-EG"),
        ("ar", "ar", "ar"),
        ("AR", "ar", "ar"),
        ("de-AT", "de-AT", "de-AT"),
        ("de-CH-1996", "de", "de-CH-1996"),
        ("de-u-co-phonebk", "de", "de-u-co-phonebk"),
        ("fr", "", "en"),
        ("en-US", "", "en-US"),
        ("", "", "en"),
        ("../secret", "", "en"),
    ],
)
def test_variant_is_the_nearest_there_is(tag, folder, locale):
    voice = languages.voice(tag, frozenset({"ar", "de", "de-AT"}))

    assert (voice.folder, voice.language, voice.locale) == (folder, folder or "en", locale)


@pytest.mark.parametrize(
    ("tag", "direction"),
    [("ar-EG", "rtl"), ("he", "rtl"), ("de", "ltr"), ("az-Arab", "rtl"), ("ar-Latn", "ltr")],
)
def test_languages_have_a_direction(tag, direction):
    assert languages.direction(tag) == direction


def test_language_without_a_file_of_the_base_lacks_it():
    base = ["subject.hbs", "body.html.hbs", "body.txt.hbs", "sample.json", "partials/layout.hbs"]

    assert languages.missing(base) == []
    assert languages.missing([*base, "ar/subject.hbs", "ar/body.html.hbs"]) == ["ar/body.txt.hbs"]


def test_folder_that_no_customer_would_get_is_named():
    files = [f"{folder}/subject.hbs" for folder in ("DE", "de", "german", "pt-br", "partials")]

    assert languages.misnamed(["subject.hbs", *files]) == ["DE", "german", "pt-br"]
