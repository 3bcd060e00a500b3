"""Define the helpers that email templates can call; bad arguments raise ValueError.

No email is better than an email with a wrong amount.

``{{money cents "USD"}}``            $1,250.00
``{{money cents cur="USD"}}``        1,250.00 USD
``{{date iso}}``                     22 November 2026
``{{datetime iso}}``                 22 November 2026, 10:00 UTC, in the time zone of the settings
``{{#iftownfirst country}}…{{else}}…{{/iftownfirst}}`` the first branch for London SW1Y 4JH, else 10115 Berlin
``{{link url}}``                     the address, if it is an http or https address
``{{#ifeq a b}}…{{else}}…{{/ifeq}}`` the first branch if a and b have the same value and the same type
``{{lookup this "note"}}``           a value that may be missing, also in strict mode
``{{{{raw}}}}…{{{{/raw}}}}``         what stands between them, mustaches and all

The result of a helper is escaped like any variable, and must depend on its arguments alone: a template asks only once
for the same arguments. ``ifeq``, ``iftownfirst`` and ``raw`` only choose between the branches of their block.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.encoding import iri_to_uri

from emails.rendering import values
from emails.rendering.expressions import Choice, Helper, Options
from queues.events import links, postal

_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}
_is_currency = re.compile("[A-Z]{3}").fullmatch


def money(arguments: list[object], options: Options) -> str:
    """Write hundredths of a currency with its symbol, or with its code if no symbol is clear."""
    cents, *currencies = arguments
    if isinstance(cents, bool) or not isinstance(cents, int):
        raise ValueError(f"money: {cents!r} is not a whole number of cents")
    amount = f"{abs(cents) // 100:,}.{abs(cents) % 100:02}"
    sign = "-" if cents < 0 else ""
    if "cur" in options.hash:
        return f"{sign}{amount} {_currency(options.hash['cur'])}"
    currency = _currency(*currencies)
    return f"{sign}{_SYMBOLS.get(currency, f'{currency} ')}{amount}"


def date(arguments: list[object], options: Options) -> str:
    """Write the day of an ISO 8601 time."""
    return _day(_local_time("date", *arguments))


def datetime_(arguments: list[object], options: Options) -> str:
    """Write an ISO 8601 time to the minute."""
    moment = _local_time("datetime", *arguments)
    return f"{_day(moment)}, {moment:%H:%M %Z}"


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


def _currency(code: object = None) -> str:
    if not isinstance(code, str) or not _is_currency(code):
        raise ValueError(f"money: {code!r} is not a currency code")
    return code


def _day(moment: datetime.datetime) -> str:
    # The same as dateformat's "j F Y", which takes ten times as long because it reads its format each time.
    return f"{moment.day} {MONTHS[moment.month]} {moment.year:04}"


def _local_time(helper: str, value: object) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]  # TypeError if not text
        return timezone.localtime(moment, timezone.get_default_timezone())
    except (TypeError, ValueError, OverflowError) as exc:
        raise ValueError(f"{helper}: {value!r} is not an ISO 8601 time with its zone") from exc


HELPERS: Mapping[str, Helper] = {
    "money": money,
    "date": date,
    "datetime": datetime_,
    "iftownfirst": Choice(_is_town_first),
    "link": link,
    "ifeq": Choice(_is_identical),
    "lookup": lookup,
    "raw": Choice(lambda arguments: True),
}
