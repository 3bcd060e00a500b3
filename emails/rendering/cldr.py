"""Write money, numbers and times as the customers of a language read them, by the rules of CLDR.

Babel knows the rules; it takes 20 to 50 µs to apply one. So it is asked once for each form, and the forms are kept.
Digits are 0 to 9 in every language, as in the references and links beside them.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from babel import Locale, dates, numbers
from babel.core import get_global

from emails.rendering import languages

# Where the smallest unit of a currency (ISO 4217) is smaller than what CLDR writes: the coins that people still use.
_DECIMALS = {
    **dict.fromkeys(("AFN", "ALL", "COP", "HUF", "IDR", "IRR", "KPW", "LAK", "LBP", "MGA"), 2),
    **dict.fromkeys(("MMK", "MRO", "SLL", "SOS", "STD", "SYP", "YER"), 2),
    "IQD": 3,
}
# Metals, funds and codes for tests: they have no unit that a whole number could count.
_UNITLESS = {
    *("XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"),
}
# English as it was before there were other languages: dollars are $, and 22 November comes before 10:00.
_WORLD_ENGLISH = Locale("en", "GB")


class _Form(NamedTuple):
    """How an amount is written around its digits."""

    decimals: int
    before: tuple[str, str]
    after: tuple[str, str]
    group: str
    point: str


def decimals(currency: str) -> int:
    """Return how many decimals the amounts of a currency have; raises ValueError if it is none."""
    if currency in _UNITLESS or currency not in get_global("all_currencies"):
        raise ValueError(f"{currency!r} is not a currency code")
    return _DECIMALS.get(currency, numbers.get_currency_precision(currency))


def money(units: int, currency: str, locale: str, *, is_by_code: bool = False) -> str:
    """Write an amount, given in the smallest units of its currency; raises ValueError if that is none."""
    form = _form(currency, locale, is_by_code)
    is_less = units < 0
    whole, rest = divmod(abs(units), 10**form.decimals)
    text = _grouped(whole, form.group, locale)
    if form.decimals:
        text = f"{text}{form.point}{rest:0{form.decimals}}"
    return f"{form.before[is_less]}{text}{form.after[is_less]}"


@lru_cache(1024)
def number(value: float, locale: str) -> str:
    """Write a number with the marks of the language; at most three decimals."""
    return numbers.format_decimal(value, locale=languages.known(locale))


def day(moment: datetime.datetime, locale: str) -> str:
    """Write the day of a time."""
    return _day(moment.date(), locale)


def minute(moment: datetime.datetime, locale: str) -> str:
    """Write a time to the minute, with its zone."""
    clock = _clock(moment.hour, moment.minute, locale)
    together = _together(locale).format(clock, _day(moment.date(), locale))
    return f"{together} {_zone(moment.tzinfo, moment.utcoffset(), moment.tzname() or '', locale)}"


@lru_cache(1024)
def _form(currency: str, locale: str, is_by_code: bool) -> _Form:
    known = languages.known(locale)
    signs = known.number_symbols["latn"]
    before, after = zip(
        *(_around(sign, currency, known, is_by_code) for sign in (1, -1)), strict=True
    )
    return _Form(decimals(currency), before, after, signs["group"], signs["decimal"])


def _around(sign: int, currency: str, known: Locale, is_by_code: bool) -> tuple[str, str]:
    """Return what stands before and after the digits of a positive or a negative amount."""
    pattern = (
        "#,##0 ¤¤" if is_by_code else known.currency_formats["standard"].pattern.replace(".00", "")
    )
    written = numbers.format_currency(
        Decimal(sign), currency, pattern, locale=known, currency_digits=False
    )
    before, _, after = written.partition("1")
    if known.text_direction == "rtl" and re.search("[A-Za-z]", after):
        # Else US$ comes out as $US.
        after += "\u200e"
    # CLDR, currency spacing: a code must not touch the digits; Babel leaves that out.
    return before + " " * before[-1:].isalpha(), " " * after[:1].isalpha() + after


def _grouped(whole: int, group: str, locale: str) -> str:
    if languages.known(locale).decimal_formats[None].grouping != (3, 3):
        return numbers.format_decimal(whole, locale=languages.known(locale))
    return f"{whole:,}".replace(",", group) if whole >= 1000 else str(whole)


@lru_cache(1024)
def _day(day: datetime.date, locale: str) -> str:
    return dates.format_date(day, "long", locale=_of_dates(locale))


@lru_cache(4096)
def _clock(hour: int, minute: int, locale: str) -> str:
    return dates.format_time(datetime.time(hour, minute), "short", locale=_of_dates(locale))


@lru_cache(256)
def _together(locale: str) -> str:
    return str(_of_dates(locale).datetime_formats["medium"])


@lru_cache(256)
def _zone(
    zone: datetime.tzinfo | None, offset: datetime.timedelta | None, name: str, locale: str
) -> str:
    """Return the short name of a time zone in the language; where it has none, that of tzdata."""
    for month in (1, 7):
        moment = datetime.datetime(2026, month, 1, tzinfo=zone)
        if moment.utcoffset() == offset:
            written = dates.get_timezone_name(moment, width="short", locale=_of_dates(locale))
            return name if written[:1] in "+-" else written
    return name


def _of_dates(locale: str) -> Locale:
    return _WORLD_ENGLISH if locale == languages.BASE else languages.known(locale)
