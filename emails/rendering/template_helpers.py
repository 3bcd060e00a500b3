"""Define the helpers that email templates can call; bad arguments raise ValueError.

No email is better than an email with a wrong amount.

``{{money cents "USD"}}``            $1,250.00, of an amount in the smallest units of its currency: 1250 JPY are ¥1,250
``{{money cents cur="USD"}}``        1,250.00 USD
``{{number quantity}}``              1,250
``{{date iso}}``                     22 November 2026
``{{datetime iso}}``                 22 November 2026, 10:00 UTC, in the time zone of the settings
``{{#iftownfirst country}}…{{else}}…{{/iftownfirst}}`` the first branch for London SW1Y 4JH, else 10115 Berlin
``{{link url}}``                     the address, if it is an http or https address
``{{#ifeq a b}}…{{else}}…{{/ifeq}}`` the first branch if a and b have the same value and the same type
``{{lookup this "note"}}``           a value that may be missing, also in strict mode
``{{{{raw}}}}…{{{{/raw}}}}``         what stands between them, mustaches and all

``money``, ``number``, ``date`` and ``datetime`` write for the locale of the email (``{{@locale}}``), by CLDR's rules.
The result of a helper is escaped like any variable, and must depend on its arguments and the locale alone: a template
asks only once for the same arguments. ``ifeq``, ``iftownfirst`` and ``raw`` only choose between the branches of their
block.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from django.utils import timezone
from django.utils.encoding import iri_to_uri

from emails.rendering import cldr, values
from emails.rendering.expressions import Choice, Helper, Options, Written
from queues.events import links, postal

# What JavaScript counts exactly, and the decimals that it may have.
_NUMBERS = (int, float)


def money(arguments: list[object], options: Options, locale: str) -> str:
    """Write an amount with the symbol of its currency, or with its code if no symbol is clear."""
    cents, *currencies = arguments
    if type(cents) is not int:
        raise ValueError(f"money: {cents!r} is not a whole number of cents")
    is_by_code = "cur" in options.hash
    [currency] = [options.hash["cur"]] if is_by_code else currencies or [None]
    if not isinstance(currency, str):
        raise ValueError(f"money: {currency!r} is not a currency code")
    return _amount(cents, currency, locale, is_by_code)


# Both parts of an email show the same amounts and times.
@lru_cache(4096)
def _amount(cents: int, currency: str, locale: str, is_by_code: bool) -> str:
    try:
        return cldr.money(cents, currency, locale, is_by_code=is_by_code)
    except ValueError as exc:
        raise ValueError(f"money: {exc}") from exc


def number(arguments: list[object], options: Options, locale: str) -> str:
    """Write a number with the marks of thousands and decimals."""
    (value,) = arguments
    if type(value) not in _NUMBERS:
        raise ValueError(f"number: {value!r} is not a number")
    return cldr.number(cast(float, value), locale)


def date(arguments: list[object], options: Options, locale: str) -> str:
    """Write the day of an ISO 8601 time."""
    return _written("date", arguments, locale)


def datetime_(arguments: list[object], options: Options, locale: str) -> str:
    """Write an ISO 8601 time to the minute."""
    return _written("datetime", arguments, locale)


def link(arguments: list[object], options: Options) -> str:
    """Let only http and https addresses through that everybody reads alike: no ``javascript:``, no user name."""
    (url,) = arguments
    if not isinstance(url, str) or not links.is_plain(url):
        raise ValueError(f"link: {url!r} is not an http or https address")
    # Only the characters of a URI: no mark of direction may come into an address.
    return url if url.isascii() else iri_to_uri(url)


def lookup(arguments: list[object], options: Options) -> object:
    """Look up a value that may be missing, in an object, a list or a text, as handlebars.js does."""
    collection, key = arguments
    if collection is False or collection == 0 or collection == "":
        return collection
    return values.step(collection, values.text_of(key), path=None)


def _is_town_first(arguments: list[object]) -> bool:
    (country,) = arguments
    return postal.is_town_first(values.text_of(country))


def _is_identical(arguments: list[object]) -> bool:
    left, right = arguments
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return left is right
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _written(helper: str, arguments: list[object], locale: str) -> str:
    (value,) = arguments
    try:
        return _time(value, timezone.get_default_timezone(), locale, helper == "date")
    except (TypeError, ValueError, OverflowError) as exc:
        raise ValueError(f"{helper}: {value!r} is not an ISO 8601 time with its zone") from exc


@lru_cache(1024)
def _time(value: str, zone: datetime.tzinfo, locale: str, is_day: bool) -> str:
    moment = timezone.localtime(datetime.datetime.fromisoformat(value), zone)
    return cldr.day(moment, locale) if is_day else cldr.minute(moment, locale)


HELPERS: Mapping[str, Helper | Written] = {
    "money": Written(money),
    "number": Written(number),
    "date": Written(date),
    "datetime": Written(datetime_),
    "iftownfirst": Choice(_is_town_first),
    "link": link,
    "ifeq": Choice(_is_identical),
    "lookup": lookup,
    "raw": Choice(lambda arguments: True),
}
